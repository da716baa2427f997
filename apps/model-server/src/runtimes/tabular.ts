import { InferenceError, type Tensor, type TensorData } from '@roundhouse/v2-protocol';
import type { Model } from '../model.ts';

/** Outputs of one row: far more classes than anybody trains trees for; bounds what a file can make us allocate. */
export const outputsMax = 10_000;

/** Values in one answer, 128 MB as FP64: a small body must not make a large one. */
const answerValuesMax = 16 * 1024 * 1024;

export type Tabular = {
  readonly platform: string;
  readonly featureCount: number;
  readonly features: readonly string[] | undefined;
  /** Values per row; with one, the answer has the shape [rows]. */
  readonly outputCount: number;
  readonly datatype: 'FP32' | 'FP64';
  /** `rows` is row-major, `count` rows of `featureCount`. */
  readonly evaluate: (rows: ArrayLike<number>, count: number) => Float32Array | Float64Array;
};

/** A model that takes a table of numbers and gives one row of numbers for each, with the tensor names of KServe's servers. */
export function tabularModel(tabular: Tabular): Model {
  const { platform, featureCount, features, outputCount, datatype, evaluate } = tabular;
  const tail = outputCount === 1 ? [] : [outputCount];
  return {
    platform,
    inputs: [{ name: 'input-0', datatype, shape: [-1, featureCount] }],
    outputs: [{ name: 'output-0', datatype, shape: [-1, ...tail] }],
    features,
    takesAnyNumber: true,
    predict([input]) {
      const count = input?.shape[0] ?? 0;
      if (count * outputCount > answerValuesMax)
        throw new InferenceError('inference/too-large', `${count} rows are too many for one request`);
      const data = evaluate(numbersOf(input), count);
      return [{ name: 'output-0', datatype, shape: [count, ...tail], data }];
    },
    async close() {},
  };
}

/** Integers count as float32, as in the Python packages; FP32 and FP64 are used as they are. */
function numbersOf(input: Tensor | undefined): Float32Array | Float64Array {
  const data = (input?.data ?? []) as Exclude<TensorData, readonly Uint8Array[]>;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  return Float32Array.from(data as ArrayLike<number | bigint> as ArrayLike<number>, Number);
}
