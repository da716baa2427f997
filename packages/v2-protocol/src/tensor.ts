import { type DataType, layoutOf, type TensorData } from './data-type.ts';
import { InferenceError, invalid } from './errors.ts';
import { preview } from './json.ts';
import type { Limits } from './limits.ts';

/** Numbers are exact: integers beyond those of a double are bigint. */
export type Parameters = Readonly<Record<string, string | number | bigint | boolean>>;

/** Row-major; `shape` has no -1 and its product is the number of elements. */
export type Tensor = {
  readonly name: string;
  readonly datatype: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
  /** What was said about the tensor, without what the protocol itself needs to carry it. */
  readonly parameters?: Parameters;
};

/** What a model takes or gives: -1 in `shape` stands for any size. */
export type TensorMetadata = {
  readonly name: string;
  readonly datatype: DataType;
  readonly shape: readonly number[];
};

/** More dimensions than any runtime takes (ONNX Runtime and NumPy stop at 32 or 64); bounds recursion. */
const rankMax = 32;
const dimensionMax = 2 ** 31 - 1;

/** A shape as it came in a request, checked: whole numbers from 0 on, and no more elements than are taken. */
export function parseShape(value: unknown, tensor: string, datatype: DataType, { tensorBytesMax }: Limits): number[] {
  if (!Array.isArray(value)) throw invalid(`tensor "${tensor}" needs a shape, an array of whole numbers`);
  if (value.length > rankMax) throw invalid(`tensor "${tensor}" has more than ${rankMax} dimensions`);
  for (const size of value) {
    if (!Number.isInteger(size) || size < 0 || Object.is(size, -0) || size > dimensionMax)
      throw invalid(`the shape of tensor "${tensor}" holds ${preview(size)}; sizes are whole numbers from 0 on`);
  }
  const sizeBytes = elementCount(value) * Math.max(1, layoutOf(datatype).sizeBytes);
  if (sizeBytes > tensorBytesMax)
    throw new InferenceError(
      'inference/too-large',
      `tensor "${tensor}" of shape ${shapeText(value)} takes ${sizeBytes} bytes; ${tensorBytesMax} are the most that are taken`,
    );
  return value;
}

export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** Each element of BYTES is an object of its own, some 200 bytes however empty it is. */
const bytesElementsMax = 1024 * 1024;

export function checkBytesCount(name: string, count: number): void {
  if (count > bytesElementsMax)
    throw invalid(`tensor "${name}" has ${count} elements of BYTES; ${bytesElementsMax} are the most that are taken`);
}

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
