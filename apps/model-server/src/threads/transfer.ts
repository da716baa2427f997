/**
 * Buffers in `value` that can move to another thread instead of being copied: those that belong to one array whole. Shared memory
 * is not moved, and neither are slices, since something else may look at the rest.
 */
export function transferablesOf(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (part: unknown) => {
    if (ArrayBuffer.isView(part)) {
      const { buffer } = part;
      if (buffer instanceof ArrayBuffer && part.byteLength === buffer.byteLength && part.byteLength > 0)
        found.add(buffer);
    } else if (Array.isArray(part)) {
      // Elements of BYTES are many, and small.
      if (!(part[0] instanceof Uint8Array)) part.forEach(visit);
    } else if (typeof part === 'object' && part !== null) {
      for (const each of Object.values(part)) visit(each);
    }
  };
  visit(value);
  return [...found];
}
