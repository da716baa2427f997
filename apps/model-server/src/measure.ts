import type { Clock } from '@roundhouse/base';
import type { Tensor } from '@roundhouse/v2-protocol';
import type { Counters } from './counters.ts';
import type { Repository } from './repository.ts';

/** Told by whoever carries out a prediction, when each part of it is done. */
export type Laps = { decoded(model: string, inputs: readonly Tensor[]): void; predicted(): void };

export type MeasureDeps = {
  readonly repository: Pick<Repository, 'statisticsOf'>;
  readonly counters: Counters;
  readonly clock: Clock;
};

/** Runs `predict` and counts how it went and how long its parts took. What is not decoded counts for no model. */
export async function measured<T>(deps: MeasureDeps, predict: (laps: Laps) => Promise<T>): Promise<T> {
  const { repository, counters, clock } = deps;
  const startedMs = clock.monotonic();
  let [model, rows, decodedMs, predictedMs] = ['', 0, startedMs, startedMs];
  const laps: Laps = {
    decoded(name, inputs) {
      model = name;
      rows = inputs[0]?.shape[0] ?? 1;
      decodedMs = clock.monotonic();
    },
    predicted() {
      predictedMs = clock.monotonic();
    },
  };
  let endedMs = startedMs;
  try {
    const result = await predict(laps);
    endedMs = clock.monotonic();
    counters.predictions++;
    const statistics = repository.statisticsOf(model);
    if (statistics !== undefined) {
      add(statistics.success, endedMs - startedMs);
      add(statistics.input, decodedMs - startedMs);
      add(statistics.infer, predictedMs - decodedMs);
      add(statistics.output, endedMs - predictedMs);
      statistics.rows += rows;
      statistics.lastMs = clock.now();
    }
    return result;
  } catch (error) {
    endedMs = clock.monotonic();
    counters.failures++;
    const statistics = repository.statisticsOf(model);
    if (statistics !== undefined) add(statistics.fail, endedMs - startedMs);
    throw error;
  } finally {
    counters.seconds += (endedMs - startedMs) / 1000;
  }
}

function add(duration: { count: number; ms: number }, ms: number) {
  duration.count++;
  duration.ms += ms;
}
