import { isDeepStrictEqual } from 'node:util';

/** A JSON object that is being worked on. */
export type Json = { [field: string]: unknown };

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object itself, or an empty one where there is none. */
export function asJson(value: unknown): Json {
  return isJson(value) ? value : {};
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The objects of a list. */
export function jsons(value: unknown): readonly Json[] {
  return asList(value).filter(isJson);
}

/** A copy that shares nothing, as the wire would make it: without undefined fields. */
export function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

export const same: (a: unknown, b: unknown) => boolean = isDeepStrictEqual;

/** The value behind a dotted path such as `status.phase`. */
export function valueAt(value: unknown, path: string): unknown {
  let current = value;
  for (const field of path.split('.')) current = isJson(current) ? current[field] : undefined;
  return current;
}

/** Sets the value behind a dotted path, making objects on the way. */
export function setAt(target: Json, path: string, value: unknown): void {
  const fields = path.split('.');
  const last = fields.pop() ?? path;
  let current = target;
  for (const field of fields) {
    const next = current[field];
    if (isJson(next)) current = next;
    else {
      const made: Json = {};
      current[field] = made;
      current = made;
    }
  }
  current[last] = value;
}
