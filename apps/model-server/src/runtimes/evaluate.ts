import type { TensorData } from '@roundhouse/v2-protocol';
import { evaluateLightgbm } from './lightgbm/evaluate.ts';
import type { Program } from './program.ts';
import { evaluateXgboost } from './xgboost/evaluate.ts';

export type Numbers = Exclude<TensorData, readonly Uint8Array[]>;

/** `data` is row-major. Integers count as float32, as in the Python packages; FP32 and FP64 are used as they are. */
export function evaluate(program: Program, data: Numbers, count: number): Float32Array | Float64Array {
  const rows =
    data instanceof Float32Array || data instanceof Float64Array
      ? data
      : Float32Array.from(data as ArrayLike<number | bigint> as ArrayLike<number>, Number);
  return program.library === 'xgboost' ? evaluateXgboost(program, rows, count) : evaluateLightgbm(program, rows, count);
}
