import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTransferPool } from './transfer-pool.ts';

const forever = new AbortController().signal;
const mebibyte = 1024 ** 2;

describe('a transfer pool', () => {
  it('never exceeds its bounds, and admits everything in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(fc.nat(40 * mebibyte), { nil: undefined }), { maxLength: 40 }),
        async (sizes) => {
          const bytesMax = 64 * mebibyte;
          const pool = createTransferPool({ connectionsMax: 4, bytesMax });
          let bytes = 0;
          let ended = 0;
          await Promise.all(
            sizes.map((size) =>
              pool.run(
                size,
                async () => {
                  // What is large counts with at most a quarter of the bound, as all of unknown size do.
                  const weight = size !== undefined && size <= mebibyte ? 0 : Math.min(size ?? bytesMax, bytesMax / 4);
                  bytes += weight;
                  expect(bytes).toBeLessThanOrEqual(bytesMax);
                  expect(pool.running).toBeLessThanOrEqual(4);
                  await new Promise(setImmediate);
                  bytes -= weight;
                  ended++;
                },
                forever,
              ),
            ),
          );

          expect(ended).toBe(sizes.length);
          expect(pool.running).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('lets small objects pass large ones that wait, but no large one another', async () => {
    const pool = createTransferPool({ connectionsMax: 8, bytesMax: 40 * mebibyte });
    const gate = Promise.withResolvers<void>();
    const started: string[] = [];
    const run = (name: string, size: number) =>
      pool.run(
        size,
        async () => {
          started.push(name);
          await gate.promise;
        },
        forever,
      );

    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => run(name, 10 * mebibyte));
    all.push(run('middling', 2 * mebibyte), run('small', 100));
    await new Promise(setImmediate);

    expect(started).toEqual(['a', 'b', 'c', 'd', 'small']);

    gate.resolve();
    await Promise.all(all);
    expect(started.slice(5)).toEqual(['e', 'middling']);
  });

  it('forgets one that is called off while it waits', async () => {
    const pool = createTransferPool({ connectionsMax: 1, bytesMax: mebibyte });
    const gate = Promise.withResolvers<void>();
    const first = pool.run(1, () => gate.promise, forever);
    const controller = new AbortController();
    const second = pool.run(1, async () => 'never', controller.signal);

    controller.abort(new Error('called off'));

    await expect(second).rejects.toThrow('called off');
    gate.resolve();
    await first;
    expect(await pool.run(1, async () => 'third', forever)).toBe('third');
  });
});
