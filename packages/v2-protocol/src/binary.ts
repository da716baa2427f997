import { type DataType, layoutOf } from './data-type.ts';
import { invalid } from './errors.ts';
import { checkBytesCount, elementCount, shapeText, type Tensor } from './tensor.ts';

/** A tensor from its bytes: little-endian and without padding; each element of BYTES after its length as uint32. */
export function tensorFromBytes(name: string, datatype: DataType, shape: readonly number[], bytes: Uint8Array): Tensor {
  const count = elementCount(shape);
  const { kind, sizeBytes, create } = layoutOf(datatype);
  if (kind === 'bytes') return { name, datatype, shape, data: splitElements(name, count, bytes) };
  if (bytes.length !== count * sizeBytes)
    throw invalid(
      `tensor "${name}" of shape ${shapeText(shape)} and type ${datatype} takes ${count * sizeBytes} bytes, not ${bytes.length}`,
    );
  if (kind === 'bool' && bytes.some((byte) => byte > 1))
    throw invalid(`tensor "${name}" holds a BOOL other than 0 or 1`);
  // A copy: the body is not aligned, and it is reused.
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  return { name, datatype, shape, data: create(buffer) };
}

function splitElements(name: string, count: number, bytes: Uint8Array): Uint8Array[] {
  checkBytesCount(name, count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const elements: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (elements.length === count) throw invalid(`tensor "${name}" needs ${count} elements, but has more`);
    const length = bytes.length - at < 4 ? Number.POSITIVE_INFINITY : view.getUint32(at, true);
    if (length > bytes.length - at - 4) throw invalid(`tensor "${name}" ends inside its element ${elements.length}`);
    elements.push(bytes.slice(at + 4, at + 4 + length));
    at += 4 + length;
  }
  if (elements.length !== count) throw invalid(`tensor "${name}" needs ${count} elements, but has ${elements.length}`);
  return elements;
}

export function bytesFromTensor({ datatype, data }: Tensor): Uint8Array {
  if (layoutOf(datatype).kind !== 'bytes') {
    const { buffer, byteOffset, byteLength } = data as Uint8Array;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
  const elements = data as readonly Uint8Array[];
  const bytes = new Uint8Array(elements.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const element of elements) {
    view.setUint32(at, element.length, true);
    bytes.set(element, at + 4);
    at += 4 + element.length;
  }
  return bytes;
}
