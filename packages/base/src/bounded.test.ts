import { describe, expect, it } from 'vitest';
import { bounded } from './bounded.ts';

const forever = new AbortController().signal;

describe('bounded', () => {
  it('runs no more than its bound at a time, and all of them in the end', async () => {
    const pool = bounded(3);
    let now = 0;
    let most = 0;
    const task = async () => {
      most = Math.max(most, ++now);
      await new Promise(setImmediate);
      now--;
    };

    await Promise.all(Array.from({ length: 20 }, () => pool.run(task, forever)));

    expect(most).toBe(3);
    expect(pool.running).toBe(0);
  });

  it('frees its place when a task fails', async () => {
    const pool = bounded(1);

    await expect(pool.run(() => Promise.reject(new Error('broken')), forever)).rejects.toThrow('broken');

    expect(await pool.run(async () => 'next', forever)).toBe('next');
  });

  it('lets go of a waiting task whose signal aborts, and of no other', async () => {
    const pool = bounded(1);
    const gate = Promise.withResolvers<void>();
    const controller = new AbortController();
    const first = pool.run(() => gate.promise, forever);
    const given = pool.run(async () => 'never', controller.signal);
    const last = pool.run(async () => 'last', forever);

    controller.abort(new Error('called off'));

    await expect(given).rejects.toThrow('called off');
    gate.resolve();
    await first;
    expect(await last).toBe('last');
  });
});
