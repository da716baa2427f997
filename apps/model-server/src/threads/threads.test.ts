import { readFileSync } from 'node:fs';
import { systemClock } from '@roundhouse/base';
import { stepClock } from '@roundhouse/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { evaluate } from '../runtimes/evaluate.ts';
import { parseXgboost } from '../runtimes/xgboost/load.ts';
import { fixturesOf, nativeCaseOf } from '../testing/fixtures.ts';
import { workerUrl } from '../testing/open-repository.ts';
import { createPool } from './pool.ts';
import { startThread, type Thread } from './thread.ts';
import { transferablesOf } from './transfer.ts';

const threads: Thread[] = [];
const start = () => {
  const thread = startThread(workerUrl);
  threads.push(thread);
  return thread;
};
afterAll(() => Promise.all(threads.map((thread) => thread.close())));

const fixture = fixturesOf('xgboost').find(({ name }) => name === 'categories')?.path ?? '';
const { program } = parseXgboost(readFileSync(fixture));
const rows = nativeCaseOf(fixture).rows.map((row) => row.map((value) => value ?? Number.NaN));
const input = () => Float32Array.from(rows.flat());

describe('a thread', () => {
  it('evaluates a model that stays here, usable by both', async () => {
    const here = evaluate(program, input(), rows.length);
    const { data } = await start().ask('evaluate', program, input(), rows.length);

    expect(data).toEqual(here);
    expect(evaluate(program, input(), rows.length)).toEqual(here);
  });

  it('gives errors with their code', async () => {
    const thread = start();

    await expect(thread.ask('decodeInferRequest', Buffer.from('{'), undefined)).rejects.toMatchObject({
      code: 'inference/invalid',
    });
    await expect(thread.ask('parseTabular', '/dev/null', 'lightgbm')).rejects.toMatchObject({ code: 'model/invalid' });
    await expect(thread.ask('runSession', 7, [], [])).rejects.toMatchObject({ code: 'inference/failed' });
  });

  it('fails what was asked of it when it ends', async () => {
    const thread = start();
    const asked = thread.ask('evaluate', program, input(), rows.length);
    void thread.close();

    await expect(asked).rejects.toMatchObject({ code: 'inference/failed' });
    await expect(thread.ask('evaluate', program, input(), rows.length)).rejects.toThrow(/ended/);
  });
});

describe('a pool', () => {
  it('does no more at a time than it has threads, and ends those that stay idle', async () => {
    const clock = stepClock();
    const before = threads.length;
    const pool = createPool(clock, start, 2);
    const answers = await Promise.all(
      Array.from({ length: 9 }, () => pool.ask('evaluate', program, input(), rows.length)),
    );

    expect(answers).toHaveLength(9);
    expect(threads.length - before).toBe(2);

    clock.advance(60_000);
    await expect.poll(() => threads.slice(before).every(({ hasEnded }) => hasEnded)).toBe(true);
    await pool.ask('evaluate', program, input(), rows.length);

    expect(threads.length - before).toBe(3);
    await pool.close();
  });

  it('goes on after a thread that ended', async () => {
    const pool = createPool(systemClock, start, 1);
    await pool.ask('evaluate', program, input(), rows.length);
    await threads.at(-1)?.close();

    await expect(pool.ask('evaluate', program, input(), rows.length)).resolves.toMatchObject({
      data: expect.any(Float32Array),
    });
    await pool.close();
  });
});

describe('transferablesOf', () => {
  it('takes arrays that own their memory, once, and leaves slices and shared memory', () => {
    const own = new Float32Array(4);
    const slice = new Uint8Array(new ArrayBuffer(8), 4);
    const shared = new Int32Array(new SharedArrayBuffer(8));

    expect(transferablesOf([{ own, again: own, slice, shared }, 'text', undefined])).toEqual([own.buffer]);
  });
});
