import { type DataType, layoutOf, type TensorData } from './data-type.ts';
import { invalid } from './errors.ts';
import { halfFrom, halvesOf } from './half.ts';
import { InexactInteger, preview, textOf } from './json.ts';
import { checkBytesCount, elementCount, shapeText, type Tensor } from './tensor.ts';

type Writer = (value: unknown, at: number) => void;

/** FP16 and BF16 have no form in JSON by V2's documents; V1 has no other, and some servers answer so. */
export type Halves = 'refused' | 'as-numbers';

/**
 * A tensor from JSON `data`: flat, or nested exactly as `shape` says. For floating-point types `null` stands for NaN.
 * Throws InexactInteger where `decodeJson` must parse again.
 */
export function tensorFromJson(
  name: string,
  datatype: DataType,
  shape: readonly number[],
  data: unknown,
  halves: Halves = 'refused',
): Tensor {
  const count = elementCount(shape);
  const values = Array.isArray(data) ? data : shape.length === 0 ? [data] : undefined;
  if (values === undefined) throw invalid(`tensor "${name}" needs data, an array`);
  const flat = values.length === 0 || !Array.isArray(values[0]);
  // Checked before anything is allocated: a small body must not ask for a large array.
  if (values.length !== (flat ? count : shape[0])) throw mismatch(name, shape, values.length, flat);
  const { target, write } = elementsFor(name, datatype, flat ? count : countNested(values, shape, 0, name), halves);
  if (flat) for (let at = 0; at < count; at++) write(values[at], at);
  else writeNested(values, write, 0);
  return { name, datatype, shape, data: target };
}

function mismatch(name: string, shape: readonly number[], found: number, flat: boolean) {
  const expected = flat ? `${elementCount(shape)} elements` : `${shape[0]} rows`;
  return invalid(`tensor "${name}" of shape ${shapeText(shape)} needs ${expected}, but its data has ${found}`);
}

/** The number of leaves, after checking that the nesting is the shape. */
function countNested(values: readonly unknown[], shape: readonly number[], depth: number, name: string): number {
  if (values.length !== shape[depth])
    throw invalid(`the data of tensor "${name}" is not nested as its shape ${shapeText(shape)} says`);
  const isLeaf = depth === shape.length - 1;
  let count = 0;
  for (const value of values) {
    if (isLeaf === Array.isArray(value))
      throw invalid(`the data of tensor "${name}" is not nested as its shape ${shapeText(shape)} says`);
    count += isLeaf ? 1 : countNested(value as unknown[], shape, depth + 1, name);
  }
  return count;
}

function writeNested(values: readonly unknown[], write: Writer, from: number): number {
  let at = from;
  for (const value of values) {
    if (Array.isArray(value)) at = writeNested(value, write, at);
    else write(value, at++);
  }
  return at;
}

function elementsFor(
  name: string,
  datatype: DataType,
  count: number,
  halves: Halves,
): { target: TensorData; write: Writer } {
  const { kind, create, min, max } = layoutOf(datatype);
  const wrong = (value: unknown) => invalid(`tensor "${name}" holds ${preview(value)}, which is no ${datatype} value`);
  if (kind === 'bytes') {
    checkBytesCount(name, count);
    const target: Uint8Array[] = [];
    const write: Writer = (value, at) => {
      // Half a character has no bytes in UTF-8.
      if (typeof value !== 'string' || !value.isWellFormed()) throw wrong(value);
      target[at] = encoder.encode(value);
    };
    return { target, write };
  }
  if (kind === 'half' && halves === 'refused')
    throw invalid(`tensor "${name}": ${datatype} has no form in JSON; send it with the binary tensor extension`);
  const target = create(count) as Float64Array;
  const [low, high] = [Number(min), Number(max)];
  const writers: Record<typeof kind, Writer> = {
    half: (value, at) => {
      if (value !== null && typeof value !== 'number' && typeof value !== 'bigint') throw wrong(value);
      target[at] = halfFrom(datatype, value === null ? Number.NaN : Number(value));
    },
    bool: (value, at) => {
      if (typeof value !== 'boolean') throw wrong(value);
      target[at] = value ? 1 : 0;
    },
    float: (value, at) => {
      if (typeof value === 'number') target[at] = value;
      else if (value === null) target[at] = Number.NaN;
      else if (typeof value === 'bigint') target[at] = Number(value);
      else throw wrong(value);
    },
    integer: (value, at) => {
      if (!Number.isInteger(value) || (value as number) < low || (value as number) > high) throw wrong(value);
      target[at] = value as number;
    },
    'big-integer': (value, at) => {
      if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new InexactInteger();
      }
      const exact = Number.isInteger(value) ? BigInt(value as number) : value;
      if (typeof exact !== 'bigint' || exact < min || exact > max) throw wrong(value);
      (target as unknown as BigInt64Array)[at] = exact;
    },
  };
  return { target, write: writers[kind] };
}

const encoder = new TextEncoder();

/** The elements as a flat JSON array. NaN and the infinities become null, the only form that every JSON parser reads. */
export function elementsToJson({ name, datatype, data }: Tensor, halves: Halves = 'refused'): string {
  const { kind } = layoutOf(datatype);
  switch (kind) {
    case 'bytes':
      return JSON.stringify((data as readonly Uint8Array[]).map((bytes) => textOf(bytes, `an element of "${name}"`)));
    case 'bool':
      return JSON.stringify(Array.from(data as Uint8Array, (value) => value !== 0));
    case 'big-integer':
      return `[${(data as BigInt64Array).join(',')}]`;
    case 'half':
      if (halves === 'as-numbers') return JSON.stringify(halvesOf(datatype, data as Uint16Array));
      throw invalid(`output "${name}" is ${datatype}, which has no form in JSON; ask for it with "binary_data": true`);
    case 'integer':
    case 'float':
      return JSON.stringify(Array.from(data as Float64Array));
  }
}
