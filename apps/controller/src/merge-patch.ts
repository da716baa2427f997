import { isDeepStrictEqual } from 'node:util';

/** The JSON merge patch (RFC 7396) from `before` to `after`; undefined when they are equal. Undefined fields are absent ones. */
export function mergePatchFor(before: object, after: object): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  const old = before as Record<string, unknown>;
  const wanted = after as Record<string, unknown>;
  for (const key of new Set([...Object.keys(old), ...Object.keys(wanted)])) {
    const [from, to] = [old[key], wanted[key]];
    if (isDeepStrictEqual(from, to)) continue;
    if (to === undefined) patch[key] = null;
    else if (isPlain(from) && isPlain(to)) {
      const inner = mergePatchFor(from, to);
      if (inner !== undefined) patch[key] = inner;
    } else patch[key] = to;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
