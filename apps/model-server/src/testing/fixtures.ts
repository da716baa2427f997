import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson } from '@roundhouse/v2-protocol';
import { evaluate } from '../runtimes/evaluate.ts';
import type { Tabular } from '../runtimes/tabular.ts';

const root = join(import.meta.dirname, '../../fixtures');

/** What a native library answered; written by fixtures/make.py. */
export type NativeCase = {
  readonly rows: readonly (readonly number[])[];
  readonly shape: readonly number[];
  readonly output: readonly number[];
};

/** The model files of one runtime, each with its name. */
export function fixturesOf(runtime: 'xgboost' | 'lightgbm' | 'onnx') {
  const directory = join(root, runtime);
  return readdirSync(directory)
    .filter((file) => !file.endsWith('.expected.json'))
    .map((file) => ({ name: file.slice(0, file.lastIndexOf('.')), path: join(directory, file) }));
}

export function nativeCaseOf(path: string): NativeCase {
  const text = readFileSync(path.replace(/\.\w+$/, '.expected.json'), 'utf8');
  // parseJson reads Python's bare NaN as null.
  return parseJson(text) as NativeCase;
}

/** Predicts the rows of a case, in the type that the model takes. */
export function predictRows({ program, datatype, outputCount }: Tabular, rows: NativeCase['rows']) {
  const flat = rows.flat().map((value) => value ?? Number.NaN);
  const data = evaluate(program, datatype === 'FP32' ? Float32Array.from(flat) : Float64Array.from(flat), rows.length);
  return { shape: outputCount === 1 ? [rows.length] : [rows.length, outputCount], data };
}

/** The largest difference between two lists, relative to the expected values; 0 where both are the same, NaN included. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number | null>): number {
  let largest = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let at = 0; at < expected.length; at++) {
    const [found, wanted] = [actual[at] ?? Number.NaN, expected[at] ?? Number.NaN];
    if (!Object.is(found, wanted) && found !== wanted)
      largest = Math.max(largest, Math.abs(found - wanted) / Math.max(Math.abs(wanted), 1e-30));
  }
  return largest;
}
