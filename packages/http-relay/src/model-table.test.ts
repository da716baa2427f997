import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelTable } from './model-table.ts';

const bytes = (name: string) => Buffer.from(`/${name}:`);
const find = (table: ModelTable<number>, scope: number, name: string) =>
  table.find(scope, bytes(name), 1, 1 + name.length);

describe('ModelTable', () => {
  it('holds what a Map would, through any sequence of changes', () => {
    const name = fc.integer({ min: 0, max: 60 }).map((n) => `m${n}`);
    const change = fc.record({ scope: fc.integer({ min: 0, max: 2 }), name, value: fc.option(fc.nat()) });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 300 }), fc.integer(), (changes, seed) => {
        const table = new ModelTable<number>(seed);
        const map = new Map<string, number>();
        for (const { scope, name, value } of changes) {
          const key = `${scope}/${name}`;
          if (value === null) expect(table.delete(scope, name)).toBe(map.delete(key));
          else {
            table.set(scope, name, value);
            map.set(key, value);
          }
        }
        expect(table.size).toBe(map.size);
        for (let scope = 0; scope < 3; scope++) {
          for (let n = 0; n <= 60; n++) {
            const expected = map.get(`${scope}/m${n}`);
            expect(find(table, scope, `m${n}`)).toBe(expected);
            expect(table.get(scope, `m${n}`)).toBe(expected);
          }
        }
      }),
    );
  });

  it('finds each of 10,000 names, and none that is only nearly one', () => {
    const table = new ModelTable<number>();
    for (let n = 0; n < 10_000; n++) table.set(0, `model-${n}`, n);

    for (let n = 0; n < 10_000; n++) expect(find(table, 0, `model-${n}`)).toBe(n);
    for (const name of ['model-10000', 'model-', 'Model-1', '', 'model-1 '])
      expect(find(table, 0, name)).toBeUndefined();
    expect(find(table, 1, 'model-1')).toBeUndefined();
  });
});
