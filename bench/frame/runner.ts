import type { Benchmark, Bound, Context, RatioBound, Subject } from './benchmark.ts';
import { quantile, summarize } from './statistics.ts';

type Sample = {
  readonly round: number;
  readonly subject: string;
  readonly shape: string;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
};

export type Row = {
  readonly subject: string;
  readonly shape: string;
  readonly metric: string;
  readonly unit: string;
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
  readonly best: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
};

export type Ratio = {
  readonly subject: string;
  readonly against: string;
  readonly shape: string;
  readonly metric: string;
  readonly median: number;
};

export type Result = {
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
  readonly skipped: readonly { readonly subject: string; readonly reason: string }[];
  readonly broken: readonly string[];
  /** Promises relative to a peer that is not installed. */
  readonly unchecked: readonly string[];
};

/** Measures all subjects in interleaved rounds, starting each round with another one, so that drift hits all alike. */
export async function runBenchmark(benchmark: Benchmark, rounds: number, context: Context): Promise<Result> {
  const skipped: { subject: string; reason: string }[] = [];
  const present: Subject[] = [];
  for (const subject of benchmark.subjects) {
    const reason = await subject.unavailable?.();
    if (reason === undefined) present.push(subject);
    else skipped.push({ subject: subject.name, reason });
  }
  const samples: Sample[] = [];
  const started: Subject[] = [];
  try {
    for (const subject of present) {
      started.push(subject);
      await subject.start?.(context);
    }
    for (let round = 0; round < rounds; round++) {
      context.say(`round ${round + 1} of ${rounds}`);
      for (const shape of benchmark.shapes) samples.push(...(await measureRound(present, shape, round, context)));
    }
  } finally {
    for (const subject of started.reverse()) await subject.stop?.();
  }
  const rows = rowsOf(samples);
  const promises = checkRatios(samples, benchmark.ratioBounds ?? [], new Set(skipped.map(({ subject }) => subject)));
  return {
    rows,
    ratios: ratiosOf(samples, benchmark),
    skipped,
    broken: [...brokenBounds(rows, benchmark.bounds ?? []), ...promises.broken],
    unchecked: promises.unchecked,
  };
}

async function measureRound(subjects: readonly Subject[], shape: string, round: number, context: Context) {
  const samples: Sample[] = [];
  for (let turn = 0; turn < subjects.length; turn++) {
    const subject = subjects[(turn + round) % subjects.length];
    if (subject === undefined) continue;
    context.signal.throwIfAborted();
    for (const measurement of await subject.measure(shape, context)) {
      samples.push({ round, subject: subject.name, shape, ...measurement });
    }
  }
  return samples;
}

function rowsOf(samples: readonly Sample[]): Row[] {
  const groups = Map.groupBy(samples, keyOf);
  return [...groups.values()].map((group) => {
    const [{ subject, shape, metric, unit }] = group as [Sample, ...Sample[]];
    const values = group.map(({ value }) => value);
    const sorted = values.toSorted((a, b) => a - b);
    const { median, q1, q3, best } = summarize(values);
    const tail = { p99: quantile(sorted, 0.99), max: sorted.at(-1) ?? Number.NaN };
    return { subject, shape, metric, unit, median, q1, q3, best, ...tail, samples: values.length };
  });
}

type Cell = Pick<Sample, 'subject' | 'shape' | 'metric'>;

const keyOf = ({ subject, shape, metric }: Cell) => JSON.stringify([shape, metric, subject]);

function ratiosOf(samples: readonly Sample[], { against, compared }: Benchmark): Ratio[] {
  const byCell = Map.groupBy(samples, keyOf);
  const ratios: Ratio[] = [];
  for (const group of byCell.values()) {
    const [{ subject, shape, metric }] = group as [Sample, ...Sample[]];
    if (compared !== undefined && !compared.includes(subject)) continue;
    for (const other of against) {
      if (other === subject) continue;
      const median = ratioBetween(group, byCell.get(keyOf({ subject: other, shape, metric })) ?? []);
      if (median !== undefined) ratios.push({ subject, against: other, shape, metric, median });
    }
  }
  return ratios;
}

/** Per round: one's median over the other's, then the median of those. Rounds that lack either do not count. */
function ratioBetween(one: readonly Sample[], other: readonly Sample[]): number | undefined {
  const denominators = roundMedians(other);
  const perRound = [...roundMedians(one)].flatMap(([round, value]) => {
    const denominator = denominators.get(round);
    return denominator === undefined || denominator === 0 ? [] : [value / denominator];
  });
  return perRound.length > 0 ? summarize(perRound).median : undefined;
}

function checkRatios(samples: readonly Sample[], bounds: readonly RatioBound[], skipped: ReadonlySet<string>) {
  const byCell = Map.groupBy(samples, keyOf);
  const broken: string[] = [];
  const unchecked: string[] = [];
  for (const { subject, shape, metric, against, againstShape = shape, atMost } of bounds) {
    const name = `${subject} / ${against}, ${shape}${againstShape === shape ? '' : ` / ${againstShape}`}, ${metric}`;
    const [one, other] = [
      { subject, shape, metric },
      { subject: against, shape: againstShape, metric },
    ].map((cell) => byCell.get(keyOf(cell)) ?? []);
    const ratio = ratioBetween(one!, other!);
    if (ratio !== undefined) {
      if (ratio > atMost) broken.push(`${name}: ${round(ratio)} is over ${atMost}`);
    } else if (skipped.has(subject) || skipped.has(against)) unchecked.push(name);
    else broken.push(`${name}: not measured`);
  }
  return { broken, unchecked };
}

function roundMedians(samples: readonly Sample[]): Map<number, number> {
  const rounds = Map.groupBy(samples, ({ round }) => round);
  return new Map([...rounds].map(([round, group]) => [round, summarize(group.map(({ value }) => value)).median]));
}

function brokenBounds(rows: readonly Row[], bounds: readonly Bound[]): string[] {
  return bounds.flatMap((bound) => {
    const row = rows.find((r) => r.subject === bound.subject && r.shape === bound.shape && r.metric === bound.metric);
    const name = `${bound.subject}, ${bound.shape}, ${bound.metric} (${bound.statistic})`;
    if (row === undefined) return [`${name}: not measured`];
    const value = row[bound.statistic];
    return value <= bound.atMost ? [] : [`${name}: ${round(value)} ${row.unit} is over ${bound.atMost} ${row.unit}`];
  });
}

export function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
