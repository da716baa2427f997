import type { Clock } from '@roundhouse/base';
import type { Tensor } from '@roundhouse/v2-protocol';
import type { Counters } from './counters.ts';
import type { Repository } from './repository.ts';

type Duration = { count: number; ms: number };

/** What is counted for one model, from its load to its unload; reloads go on counting. */
export type Statistics = {
  readonly success: Duration;
  readonly fail: Duration;
  readonly input: Duration;
  readonly infer: Duration;
  readonly output: Duration;
  rows: number;
  /** Milliseconds since the epoch; 0 before the first prediction. */
  lastMs: number;
};

export function createStatistics(): Statistics {
  const none = () => ({ count: 0, ms: 0 });
  return { success: none(), fail: none(), input: none(), infer: none(), output: none(), rows: 0, lastMs: 0 };
}

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

function add(duration: Duration, ms: number) {
  duration.count++;
  duration.ms += ms;
}

/** One entry of the statistics extension. There is no queue and no cache, so those stay at zero. */
export function statisticsJson(name: string, version: string, statistics: Statistics) {
  const { success, fail, input, infer, output, rows, lastMs } = statistics;
  const none = { count: 0, ns: 0 };
  const inNs = ({ count, ms }: Duration) => ({ count, ns: Math.round(ms * 1e6) });
  return {
    name,
    version,
    last_inference: lastMs,
    inference_count: rows,
    execution_count: success.count,
    inference_stats: {
      success: inNs(success),
      fail: inNs(fail),
      queue: none,
      compute_input: inNs(input),
      compute_infer: inNs(infer),
      compute_output: inNs(output),
      cache_hit: none,
      cache_miss: none,
    },
    response_stats: {},
    batch_stats: [],
    memory_usage: [],
  };
}
