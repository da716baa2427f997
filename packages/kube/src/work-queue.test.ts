import { stepClock } from '@roundhouse/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWorkQueue } from './work-queue.ts';

const quiet = { random: () => 0, onFailure: () => {} };

/** Lets all promise callbacks run that are due. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the work queue', () => {
  it('works on a key once, however often it was added', async () => {
    const worked: string[] = [];
    const queue = createWorkQueue(
      { ...quiet, clock: stepClock() },
      async (key) => void worked.push(key),
      new AbortController().signal,
    );
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = createWorkQueue(
      { ...quiet, clock: stepClock() },
      async (key) => {
        worked.push(key);
        await gate;
      },
      new AbortController().signal,
    );
    for (let n = 0; n < 5; n++) slow.add('slow');
    queue.add('quick');
    release();
    await settle();

    expect(worked).toEqual(['slow', 'quick', 'slow']);
  });

  it('keeps the earlier of two times, and never moves work back', async () => {
    const clock = stepClock();
    const worked: number[] = [];
    const queue = createWorkQueue(
      { ...quiet, clock },
      async () => void worked.push(clock.monotonic()),
      new AbortController().signal,
    );
    queue.add('key', 100);
    queue.add('key', 500);
    queue.add('key', 50);
    clock.advance(1_000);
    await settle();

    expect(worked).toEqual([50]);
  });

  it('tries again after a failure, ever later, and forgets failures after a success', async () => {
    const clock = stepClock();
    const retries: number[] = [];
    let failuresLeft = 3;
    const queue = createWorkQueue(
      { clock, random: () => 1, onFailure: (_key, _error, _attempt, retryMs) => retries.push(retryMs) },
      async () => {
        if (failuresLeft-- > 0) throw new Error('not yet');
      },
      new AbortController().signal,
    );
    queue.add('key');
    for (let n = 0; n < 4; n++) {
      await settle();
      clock.advance(60_000);
    }
    await settle();
    failuresLeft = 1;
    queue.add('key');
    await settle();

    expect(retries).toEqual([50, 100, 200, 50]);
  });

  it('never works on one key twice at a time, nor on more than sixteen', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 120 }), async (keys) => {
        const stop = new AbortController();
        const busy = new Set<string>();
        const worked = new Set<string>();
        const queue = createWorkQueue(
          { ...quiet, clock: stepClock() },
          async (key) => {
            expect(busy.has(key)).toBe(false);
            busy.add(key);
            expect(busy.size).toBeLessThanOrEqual(16);
            await settle();
            busy.delete(key);
            worked.add(key);
          },
          stop.signal,
        );
        for (const key of keys) queue.add(String(key));
        for (let n = 0; n < 20; n++) await settle();
        stop.abort();
        await queue.ended;

        expect(worked).toEqual(new Set(keys.map(String)));
      }),
      { numRuns: 20 },
    );
  });
});
