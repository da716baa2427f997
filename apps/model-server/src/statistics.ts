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
