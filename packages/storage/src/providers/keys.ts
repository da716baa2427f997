import type { StoredObject } from '../provider.ts';

type Listed = Pick<StoredObject, 'key' | 'sizeBytes' | 'version'>;

/** Pages of a bucket's listing, in the order of their keys, of those that begin with `prefix`. */
export type ListPrefix = (prefix: string, objectsMax?: number) => AsyncIterable<Listed>;

/**
 * What a key names: all objects below `key/`, so that `iris` never brings `iris-v2` along, or, if there are none, the object
 * `key` itself. Keys that end in a slash are the placeholders that web consoles make for folders.
 */
export async function* objectsAt(key: string, listPrefix: ListPrefix): AsyncIterable<StoredObject> {
  const prefix = key === '' || key.endsWith('/') ? key : `${key}/`;
  let found = false;
  for await (const object of listPrefix(prefix)) {
    if (object.key.endsWith('/')) continue;
    found = true;
    yield { ...object, path: object.key.slice(prefix.length), single: false };
  }
  if (found || key === prefix) return;
  // It sorts before all others that begin with its key.
  for await (const object of listPrefix(key, 1)) {
    if (object.key === key) yield { ...object, path: key.slice(key.lastIndexOf('/') + 1), single: true };
  }
}
