import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createShards } from './plan.ts';

describe('shards', () => {
  it('put a new model into the first with room, and leave it there', () => {
    const shards = createShards(100);

    expect([shards.place('a', 60), shards.place('b', 60), shards.place('c', 40)]).toEqual([0, 1, 0]);
    shards.remove('a');
    expect(shards.place('b', 70)).toBe(1);
    expect(shards.membersOf(0)).toEqual(['c']);
  });

  it('move a model that outgrows its shard', () => {
    const shards = createShards(100);
    shards.place('a', 60);
    shards.place('b', 40);

    expect(shards.place('b', 50)).toBe(1);
  });

  it('say when all are full', () => {
    const shards = createShards(10);
    for (let index = 0; index < 16; index++) expect(shards.place(`m${index}`, 10)).toBe(index);

    expect(shards.place('more', 1)).toBeUndefined();
  });

  it('never hold more than fits', () => {
    const step = fc.record({
      name: fc.integer({ min: 0, max: 20 }),
      size: fc.integer({ min: 1, max: 60 }),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const shards = createShards(100);
        const sizes = new Map<string, number>();
        for (const { name, size, gone } of steps) {
          const model = `m${name}`;
          sizes.delete(model);
          if (gone) shards.remove(model);
          else if (shards.place(model, size) !== undefined) sizes.set(model, size);
        }
        for (let shard = 0; shard < 16; shard++) {
          const used = shards.membersOf(shard).reduce((total, model) => total + (sizes.get(model) ?? 0), 0);
          expect(used).toBeLessThanOrEqual(100);
        }
      }),
    );
  });
});
