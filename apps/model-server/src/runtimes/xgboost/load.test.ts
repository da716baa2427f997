import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fixturesOf, largestDifference, nativeCaseOf, predictRows } from '../../testing/fixtures.ts';
import { parseXgboost } from './load.ts';

/** Transforms with an exponential differ from the C library's by up to a few units in the last place of a float32. */
const exactlyEqual = new Set([
  'absolute-error',
  'base-score',
  'categories',
  'categories-one-hot',
  'categories-text',
  'dart',
  'forest',
  'hinge',
  'linear',
  'logit-raw',
  'ndcg',
  'no-holes',
  'pairwise',
  'pruned',
  'pseudo-huber',
  'quantile',
  'quantiles',
  'softmax',
  'squared-error',
  'squared-log-error',
  'targets',
]);

describe('an XGBoost model', () => {
  it.each(fixturesOf('xgboost'))('predicts as the library does: $name', ({ name, path }) => {
    const { rows, shape, output } = nativeCaseOf(path);
    const answer = predictRows(parseXgboost(readFileSync(path)), rows);

    expect(answer.shape).toEqual(shape);
    expect(largestDifference(answer.data, output)).toBeLessThanOrEqual(exactlyEqual.has(name) ? 0 : 1e-6);
  });
});
