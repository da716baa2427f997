import type { DataType, TensorData } from './data-type.ts';
import { invalid } from './errors.ts';

/** Row-major; `shape` has no -1 and its product is the number of elements. */
export type Tensor = {
  readonly name: string;
  readonly datatype: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
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

/** A shape as it came in a request, checked: whole numbers from 0 on, and a product that is exact. */
export function parseShape(value: unknown, tensor: string): number[] {
  if (!Array.isArray(value)) throw invalid(`tensor "${tensor}" needs a shape, an array of whole numbers`);
  if (value.length > rankMax) throw invalid(`tensor "${tensor}" has more than ${rankMax} dimensions`);
  for (const size of value) {
    if (!Number.isInteger(size) || size < 0 || size > dimensionMax)
      throw invalid(`the shape of tensor "${tensor}" holds ${JSON.stringify(size)}; sizes are whole numbers from 0 on`);
  }
  if (!Number.isSafeInteger(elementCount(value))) throw invalid(`the shape of tensor "${tensor}" is too large`);
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
