import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { parseJson } from '@roundhouse/v2-protocol';
import { describe, expect, it } from 'vitest';
import { ModelRefused } from '../model.ts';
import { largestDifference, predictRows } from '../testing/fixtures.ts';
import { parseTabular } from './tabular-file.ts';

const directory = join(import.meta.dirname, '../../fixtures/matrix');

type Case = {
  readonly name: string;
  readonly rows: string;
  readonly shape: readonly number[];
  readonly output: readonly (number | null)[];
  readonly model: string;
};

/** Written by fixtures/make_matrix.py; parseJson reads Python's bare NaN as null. */
const casesOf = (file: string) =>
  readFileSync(join(directory, `${file}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => parseJson(line) as Case);
const rows = JSON.parse(readFileSync(join(directory, 'rows.json'), 'utf8'));
const open = ({ model }: Case, format: 'xgboost' | 'lightgbm') =>
  parseTabular(inflateSync(Buffer.from(model, 'base64')), format);

/**
 * Answers that are sums of leaves are equal bit by bit; where an exponential or a logarithm follows, the C library's differs from
 * JavaScript's in the last places of a float32 (XGBoost) or of a double (LightGBM).
 */
const libraries = [
  ['xgboost-2', 'xgboost', 1e-6],
  ['xgboost-3', 'xgboost', 1e-6],
  ['lightgbm-4', 'lightgbm', 1e-14],
] as const;
const isExact =
  /^(reg:(squarederror|squaredlogerror|pseudohuber|absolute|quantile)|rank:|binary:(hinge|logitraw)|multi:softmax|regression|huber|fair|quantile|mape|lambdarank|rank_xendcg)/;

describe.each(libraries)('a model of %s', (file, format, tolerance) => {
  it.each(casesOf(file))('predicts as the library does: $name', (given) => {
    const answer = predictRows(open(given, format), rows[given.rows]);

    expect(answer.shape).toEqual(given.shape);
    expect(largestDifference(answer.data, given.output)).toBeLessThanOrEqual(isExact.test(given.name) ? 0 : tolerance);
  });
});

describe.each(['xgboost-2-refused', 'xgboost-3-refused'])('what cannot be evaluated exactly: %s', (file) => {
  it.each(casesOf(file))('is refused with the reason: $name', (given) => {
    expect(() => open(given, 'xgboost')).toThrow(ModelRefused);
    expect(() => open(given, 'xgboost')).toThrow(/not supported|texts/);
  });
});
