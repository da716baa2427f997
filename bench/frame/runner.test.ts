import { describe, expect, it } from 'vitest';
import type { Benchmark, Subject } from './benchmark.ts';
import { runBenchmark } from './runner.ts';

const context = { say: () => {}, signal: new AbortController().signal };

function subject(name: string, value: (round: number) => number, calls: string[] = []): Subject {
  let round = 0;
  return {
    name,
    measure: async (shape) => {
      calls.push(`${name}/${shape}`);
      return [{ metric: 'cost', unit: 'ms', value: value(round++) }];
    },
  };
}

function benchmark(changes: Partial<Benchmark>): Benchmark {
  return { name: 'b', summary: '', rounds: 3, shapes: ['small'], subjects: [], against: [], ...changes };
}

describe('runBenchmark', () => {
  it('lets another subject begin each round', async () => {
    const calls: string[] = [];
    const subjects = [subject('a', () => 1, calls), subject('b', () => 1, calls)];

    await runBenchmark(benchmark({ subjects }), 2, context);

    expect(calls).toEqual(['a/small', 'b/small', 'b/small', 'a/small']);
  });

  it('computes ratios round by round, so that drift cancels out', async () => {
    const subjects = [subject('ours', (round) => 2 * 10 ** round), subject('peer', (round) => 10 ** round)];

    const { ratios } = await runBenchmark(benchmark({ subjects, against: ['peer'] }), 3, context);

    expect(ratios).toEqual([{ subject: 'ours', against: 'peer', shape: 'small', metric: 'cost', median: 2 }]);
  });

  it('skips a subject that is not there by name, and measures the others', async () => {
    const absent: Subject = { ...subject('peer', () => 1), unavailable: async () => 'not installed' };

    const result = await runBenchmark(benchmark({ subjects: [absent, subject('ours', () => 5)] }), 1, context);

    expect(result.skipped).toEqual([{ subject: 'peer', reason: 'not installed' }]);
    expect(result.rows).toMatchObject([{ subject: 'ours', median: 5, samples: 1 }]);
  });

  it('says which bound is broken, and which was not measured', async () => {
    const bound = { subject: 'ours', shape: 'small', metric: 'cost', statistic: 'median', atMost: 4 } as const;
    const bounds = [bound, { ...bound, metric: 'other' }];

    const { broken } = await runBenchmark(benchmark({ subjects: [subject('ours', () => 5)], bounds }), 1, context);

    expect(broken).toEqual([
      'ours, small, cost (median): 5.00 ms is over 4 ms',
      'ours, small, other (median): not measured',
    ]);
  });

  it('holds ratios against their bounds, and names those whose peer is not there', async () => {
    const subjects = [
      subject('ours', () => 6),
      subject('peer', () => 4),
      { ...subject('absent', () => 1), unavailable: async () => 'not installed' },
    ];
    const bound = { subject: 'ours', shape: 'small', metric: 'cost', against: 'peer', atMost: 1.4 };
    const ratioBounds = [bound, { ...bound, atMost: 1.5 }, { ...bound, against: 'absent' }, { ...bound, shape: 'big' }];

    const result = await runBenchmark(benchmark({ subjects, ratioBounds }), 1, context);

    expect(result.broken).toEqual([
      'ours / peer, small, cost: 1.50 is over 1.4',
      'ours / peer, big, cost: not measured',
    ]);
    expect(result.unchecked).toEqual(['ours / absent, small, cost']);
  });

  it('stops what it started when a measurement fails', async () => {
    let stopped = false;
    const failing: Subject = {
      name: 'ours',
      measure: () => Promise.reject(new Error('broken pipe')),
      stop: async () => {
        stopped = true;
      },
    };

    await expect(runBenchmark(benchmark({ subjects: [failing] }), 1, context)).rejects.toThrow('broken pipe');

    expect(stopped).toBe(true);
  });
});
