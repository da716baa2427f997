import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Placeable, planPlacement } from './index.ts';

const model = (name: string, memoryBytes: number, createdMs: number, held = false): Placeable => ({
  name,
  memoryBytes,
  createdMs,
  held,
});

const anyModels = fc.uniqueArray(
  fc.record({ name: fc.string(), memoryBytes: fc.nat(100), createdMs: fc.nat(50), held: fc.boolean() }),
  { selector: ({ name }) => name, maxLength: 30 },
);
const anyCapacity = fc.nat(800);

const sum = (models: readonly Placeable[]) => models.reduce((total, { memoryBytes }) => total + memoryBytes, 0);

describe('planPlacement', () => {
  it('lets the youngest wait when not all fit', () => {
    const plan = planPlacement({ memoryBytes: 100 }, [model('young', 60, 2), model('old', 60, 1)]);

    expect([...plan.placed]).toEqual(['old']);
    expect(plan.waiting).toEqual(['young']);
  });

  it('keeps who has a place, though an older one waits', () => {
    expect([...planPlacement({ memoryBytes: 100 }, [model('old', 60, 1), model('young', 60, 2, true)]).placed]).toEqual(
      ['young'],
    );
  });

  it('lets small models pass a large one that does not fit', () => {
    expect([...planPlacement({ memoryBytes: 100 }, [model('huge', 200, 1), model('small', 10, 2)]).placed]).toEqual([
      'small',
    ]);
  });

  it('asks nobody to wait where there is no capacity to compare with', () => {
    expect(
      planPlacement({ memoryBytes: undefined }, [model('huge', Number.MAX_SAFE_INTEGER, 1), model('small', 1, 2)])
        .waiting,
    ).toEqual([]);
  });

  it('counts the memory of a GPU apart', () => {
    const models = [model('first', 10, 1), model('second', 10, 2), model('plain', 10, 3)];
    const onGpu = models.map((each) => (each.name === 'plain' ? each : { ...each, gpuBytes: 60 }));
    const plan = planPlacement({ memoryBytes: 100, gpuBytes: 100 }, onGpu);

    expect([...plan.placed]).toEqual(['first', 'plain']);
    expect(plan.waiting).toEqual(['second']);
  });

  it('never exceeds the capacity, and leaves nobody waiting who fits', () => {
    fc.assert(
      fc.property(anyCapacity, anyModels, (capacity, models) => {
        const { placed, waiting } = planPlacement({ memoryBytes: capacity }, models);
        const used = sum(models.filter(({ name }) => placed.has(name)));

        expect(used).toBeLessThanOrEqual(capacity);
        for (const { name, memoryBytes } of models) {
          if (waiting.includes(name)) expect(used + memoryBytes).toBeGreaterThan(capacity);
        }
        expect(placed.size + waiting.length).toBe(models.length);
      }),
    );
  });

  it('takes no place away while those that hold one fit', () => {
    fc.assert(
      fc.property(anyCapacity, anyModels, (capacity, models) => {
        const held = models.filter((each) => each.held);
        fc.pre(sum(held) <= capacity);
        const { placed } = planPlacement({ memoryBytes: capacity }, models);

        expect(held.filter(({ name }) => !placed.has(name))).toEqual([]);
      }),
    );
  });

  it('has nothing left to do once its own plan is carried out', () => {
    fc.assert(
      fc.property(anyCapacity, anyModels, (capacity, models) => {
        const first = planPlacement({ memoryBytes: capacity }, models);
        const after = models.map((each) => ({ ...each, held: first.placed.has(each.name) }));

        expect(planPlacement({ memoryBytes: capacity }, after).placed).toEqual(first.placed);
      }),
    );
  });
});
