import type { DataType } from './data-type.ts';

/** FP16 is IEEE 754 binary16; BF16 is the upper half of a binary32. Both are kept as bit patterns. */

const half = new Float16Array(1);
const halfBits = new Uint16Array(half.buffer);
const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** The bits of the nearest value; of two, the even one. */
export function halfFrom(datatype: DataType, value: number): number {
  if (datatype === 'FP16') {
    half[0] = value;
    return halfBits[0] as number;
  }
  single[0] = value;
  const bits = singleBits[0] as number;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function halvesOf(datatype: DataType, bits: Uint16Array): number[] {
  if (datatype === 'FP16') return Array.from(new Float16Array(bits.buffer, bits.byteOffset, bits.length));
  return Array.from(bits, (upper) => {
    singleBits[0] = upper << 16;
    return single[0] as number;
  });
}
