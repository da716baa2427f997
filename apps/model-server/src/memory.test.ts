import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemory } from './memory.ts';

const mb = 1_000_000;

/** A process of 100 MB that may take 800; 700 of them are for models and what is there at the start. */
function open(resident = { bytes: 100 * mb }) {
  const collections: number[] = [];
  const memory = createMemory({
    limitBytes: 800 * mb,
    residentBytes: () => resident.bytes,
    collect: () => {
      collections.push(resident.bytes);
      resident.bytes = Math.min(resident.bytes, 300 * mb);
    },
  });
  return { memory, resident, collections };
}

describe('createMemory', () => {
  it('refuses a model that does not fit, and says what is needed, left and to be done', () => {
    const { memory } = open();
    memory.reserve(500 * mb);

    expect(() => memory.reserve(101 * mb)).toThrow(
      /needs 101 MB, but 100 MB of the 800 MB .* unload some, or raise its memory limit/,
    );
    expect(() => memory.reserve(100 * mb)).not.toThrow();
  });

  it('counts models that are still loading', () => {
    const { memory } = open();
    memory.reserve(400 * mb);

    expect(() => memory.reserve(400 * mb)).toThrow(expect.objectContaining({ code: 'model/no-space' }));
  });

  it('has room again when a model is gone, even where the system has not got its memory back', () => {
    const { memory, resident } = open();
    const first = memory.reserve(600 * mb);
    resident.bytes = 700 * mb;
    first.release();

    expect(() => memory.reserve(600 * mb)).not.toThrow();
  });

  it('collects garbage before it refuses', () => {
    const { memory, resident, collections } = open();
    resident.bytes = 650 * mb;

    expect(() => memory.reserve(200 * mb)).not.toThrow();
    expect(collections).toEqual([650 * mb]);
  });

  it('counts what nobody reserved', () => {
    const { memory, resident } = open();
    resident.bytes = 300 * mb;

    expect(() => memory.reserve(401 * mb)).toThrow(/400 MB/);
  });

  it('stays as it was when a reservation cannot grow', () => {
    const { memory } = open();
    const reservation = memory.reserve(500 * mb);

    expect(() => reservation.resize(700 * mb)).toThrow();
    expect(reservation.bytes).toBe(500 * mb);

    reservation.resize(600 * mb);
    reservation.release();

    expect(() => memory.reserve(600 * mb)).not.toThrow();
  });

  it('never lets models and the start go beyond the limit, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 500 }))), (steps) => {
        const { memory } = open();
        const held: ReturnType<typeof memory.reserve>[] = [];
        for (const [isLoad, size] of steps) {
          if (isLoad)
            try {
              held.push(memory.reserve(size * mb));
            } catch {}
          else held.splice(size % Math.max(1, held.length), 1)[0]?.release();
        }

        expect(held.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(600 * mb);
      }),
    );
  });
});
