/**
 * Above this a chunk is closed. The bound below counts at least what the encoding takes, and a single item (a model's
 * names, address and last failure) is a few KiB, so that every message stays under the protocol's 1 MiB.
 */
const chunkBytesMax = 512 * 1024;

/** Cuts `items` into runs that each encode to less than 1 MiB; one empty run when there are none. */
export function chunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [[]];
  let sizeBytes = 0;
  for (const item of items) {
    const itemBytes = encodedBytesMax(item);
    if (sizeBytes > 0 && sizeBytes + itemBytes > chunkBytesMax) {
      chunks.push([]);
      sizeBytes = 0;
    }
    chunks.at(-1)?.push(item);
    sizeBytes += itemBytes;
  }
  return chunks;
}

/** An upper bound of what protobuf needs: three bytes per UTF-16 unit, eleven for a number, tag and length for each field. */
function encodedBytesMax(value: unknown): number {
  if (typeof value === 'string') return 3 * value.length + 6;
  if (typeof value !== 'object' || value === null) return 11;
  let sum = 6;
  for (const inner of Object.values(value)) sum += encodedBytesMax(inner);
  return sum;
}
