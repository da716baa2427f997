import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantile, summarize } from './statistics.ts';

describe('summarize', () => {
  it('interpolates between neighbours as spreadsheets do', () => {
    expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, q1: 1.75, q3: 3.25, best: 1, count: 4 });
  });

  it('keeps its figures in order, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1 }), (values) => {
        const { best, q1, median, q3 } = summarize(values);
        expect(best).toBeLessThanOrEqual(q1);
        expect(q1).toBeLessThanOrEqual(median);
        expect(median).toBeLessThanOrEqual(q3);
        expect(q3).toBeLessThanOrEqual(Math.max(...values));
      }),
    );
  });

  it('has no figure for no values', () => {
    expect(quantile([], 0.5)).toBeNaN();
  });
});
