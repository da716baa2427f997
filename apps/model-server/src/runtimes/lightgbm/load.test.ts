import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fixturesOf, largestDifference, nativeCaseOf, predictRows } from '../../testing/fixtures.ts';
import { parseLightgbm } from './load.ts';

const withExponential = /binary|entropy|classes|poisson|gamma|tweedie/;

describe('a LightGBM model', () => {
  it.each(fixturesOf('lightgbm'))('predicts as the library does: $name', ({ name, path }) => {
    const { rows, shape, output } = nativeCaseOf(path);
    const answer = predictRows(parseLightgbm(readFileSync(path, 'utf8')), rows);

    expect(answer.shape).toEqual(shape);
    expect(largestDifference(answer.data, output)).toBeLessThanOrEqual(withExponential.test(name) ? 1e-14 : 0);
  });
});
