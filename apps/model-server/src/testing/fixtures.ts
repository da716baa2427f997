import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJson, type Tensor } from '@roundhouse/v2-protocol';
import type { Model } from '../model.ts';

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

/** Predicts the rows of a case, in the order and type that the model takes. */
export function predictRows(model: Model, rows: NativeCase['rows']): Tensor {
  const [input] = model.inputs;
  const flat = rows.flat().map((value) => value ?? Number.NaN);
  const data = input?.datatype === 'FP32' ? Float32Array.from(flat) : Float64Array.from(flat);
  const tensor: Tensor = {
    name: 'input-0',
    datatype: input?.datatype ?? 'FP64',
    shape: [rows.length, rows[0]?.length ?? 0],
    data,
  };
  const [output] = model.predict([tensor], ['output-0']) as readonly Tensor[];
  if (output === undefined) throw new Error('the model gave no output');
  return output;
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
