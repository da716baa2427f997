import { isDeepStrictEqual } from 'node:util';
import type { Api, KubeObject } from '@roundhouse/local-cluster';
import type { SystemObject } from './objects.ts';

/** Creates what is missing and replaces the spec of what differs; status and metadata of existing objects stay. */
export function applyObjects(api: Api, objects: readonly SystemObject[]): void {
  for (const { resource, object } of objects) {
    const current = api.get(resource, object.metadata.namespace, object.metadata.name);
    if (current === undefined) api.create(resource, object);
    else if (differs(current, object)) api.update(resource, { ...current, ...withoutMetadata(object) });
  }
}

/** Defaults that the API server added are no difference: only what we set is compared. */
function differs(current: KubeObject, wanted: KubeObject): boolean {
  return !contains(current, withoutMetadata(wanted));
}

function contains(actual: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => contains(actual[index], item))
    );
  }
  if (typeof wanted !== 'object' || wanted === null) return isDeepStrictEqual(actual, wanted);
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(wanted).every(([key, value]) => contains((actual as Record<string, unknown>)[key], value));
}

function withoutMetadata({ metadata: _, ...rest }: KubeObject): Omit<KubeObject, 'metadata'> {
  return rest;
}
