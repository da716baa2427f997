/** Where the middle and the quarters of some values lie. `best` is the smallest: every metric of ours is a cost. */
export type Summary = {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  readonly best: number;
  readonly count: number;
};

export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    best: sorted[0] ?? Number.NaN,
    count: sorted.length,
  };
}

/** The value below which a share `q` of the sorted values lies, interpolated linearly between neighbours. */
export function quantile(sorted: readonly number[], q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (high - low) * (position - below);
}
