import { readFileSync } from 'node:fs';
import { stepClock } from '@roundhouse/testkit';
import type { Tensor } from '@roundhouse/v2-protocol';
import { describe, expect, it } from 'vitest';
import { fixturesOf, nativeCaseOf } from '../testing/fixtures.ts';
import type { Pool } from '../threads/pool.ts';
import { evaluate } from './evaluate.ts';
import { parseTabular } from './tabular-file.ts';
import { tabularModel } from './tabular-model.ts';

const path = fixturesOf('lightgbm').find(({ name }) => name === 'regression')?.path ?? '';
const tabular = parseTabular(readFileSync(path), 'lightgbm');
const row = nativeCaseOf(path).rows[0] ?? [];

/** A model, with the sizes of what was given to another thread; `msPerRow` is what it is said to take there. */
function open(msPerRow = 0) {
  const given: number[] = [];
  const ask = async (_: string, program: never, data: never, count: number) => {
    given.push(count);
    return { data: evaluate(program, data, count), ms: msPerRow * count };
  };
  const model = tabularModel({ clock: stepClock(), pool: { ask } as unknown as Pick<Pool, 'ask'> }, tabular);
  const predict = async (count: number) => {
    const data = Float64Array.from(Array.from({ length: count }, () => row).flat());
    const input: Tensor = { name: 'input-0', datatype: 'FP64', shape: [count, row.length], data };
    const [output] = await model.predict([input], ['output-0']);
    return output;
  };
  return { given, predict };
}

describe('a model of trees', () => {
  it('predicts few rows on the spot, and many on another thread, with the same answers', async () => {
    const { given, predict } = open();
    const few = await predict(1);
    const many = await predict(100_000);

    expect(given).toEqual([100_000]);
    expect(many?.shape).toEqual([100_000]);
    expect(many?.data[99_999]).toBe(few?.data[0]);
  });

  it('predicts on the spot what turned out to be quick', async () => {
    const { given, predict } = open(0);
    for (let round = 0; round < 3; round++) await predict(100_000);

    expect(given).toEqual([100_000]);
  });

  it('goes on elsewhere with what turned out to be slow', async () => {
    const { given, predict } = open(1);
    for (let round = 0; round < 3; round++) await predict(100_000);

    expect(given).toEqual([100_000, 100_000, 100_000]);
  });
});
