import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type Api, ApiError, type KubeObject, type Resource, type WatchEvent } from '../api.ts';

/** The least that the node and the workload controllers need of an API. */
export function memoryApi(): Api {
  const objects = new Map<string, KubeObject>();
  const watchers = new Set<{ kind: string; listener: (event: WatchEvent) => void }>();
  let revision = 0;
  const kindOf = ({ group, resource }: Resource) => `${group}/${resource}`;
  const keyFor = (resource: Resource, namespace: string | undefined, name: string) =>
    `${kindOf(resource)}|${namespace ?? ''}|${name}`;
  const kindIn = (key: string) => key.slice(0, key.indexOf('|'));

  const put = (key: string, object: KubeObject, type: WatchEvent['type']) => {
    const stamped = structuredClone({
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++revision) },
    }) as KubeObject;
    if (type === 'DELETED') objects.delete(key);
    else objects.set(key, stamped);
    const interested = [...watchers].filter(({ kind }) => kind === kindIn(key));
    setImmediate(() => {
      for (const watcher of interested) if (watchers.has(watcher)) watcher.listener({ type, object: stamped });
    });
    if (type === 'DELETED') collect(stamped);
    return stamped;
  };

  const collect = ({ metadata }: KubeObject) => {
    for (const [key, object] of objects) {
      if (object.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid)) remove(key, object, undefined);
    }
  };

  const remove = (key: string, object: KubeObject, graceSeconds: number | undefined) => {
    const spec = object.spec as { nodeName?: string; terminationGracePeriodSeconds?: number } | undefined;
    const grace = graceSeconds ?? spec?.terminationGracePeriodSeconds ?? 30;
    if (kindIn(key) !== '/pods' || spec?.nodeName === undefined || grace === 0) return put(key, object, 'DELETED');
    if (object.metadata.deletionTimestamp !== undefined) return object;
    const deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString();
    const metadata = { ...object.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace };
    return put(key, { ...object, metadata } as KubeObject, 'MODIFIED');
  };

  return {
    get: (resource, namespace, name) => objects.get(keyFor(resource, namespace, name)),
    list(resource, { namespace, labels = {} } = {}) {
      const items = [...objects]
        .filter(([key]) => kindIn(key) === kindOf(resource))
        .map(([, object]) => object)
        .filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
        .filter(({ metadata }) => Object.entries(labels).every(([name, value]) => metadata.labels?.[name] === value));
      return { items, resourceVersion: String(revision) };
    },
    create(resource, object) {
      const key = keyFor(resource, object.metadata.namespace, object.metadata.name);
      if (objects.has(key)) throw new ApiError(409, 'AlreadyExists', `${key} already exists`);
      const creationTimestamp = new Date().toISOString();
      const metadata = { ...object.metadata, uid: randomUUID(), generation: 1, creationTimestamp };
      return put(key, { ...object, metadata } as KubeObject, 'ADDED');
    },
    update(resource, object, subresource) {
      const key = keyFor(resource, object.metadata.namespace, object.metadata.name);
      const current = objects.get(key);
      if (current === undefined) throw new ApiError(404, 'NotFound', `${key} not found`);
      const { resourceVersion } = object.metadata;
      if (resourceVersion !== undefined && resourceVersion !== current.metadata.resourceVersion) {
        throw new ApiError(409, 'Conflict', `${key} has changed`);
      }
      if (subresource === 'status') return put(key, { ...current, status: object.status } as KubeObject, 'MODIFIED');
      const changed = !isDeepStrictEqual(object.spec, current.spec);
      const generation = (current.metadata.generation ?? 0) + (changed ? 1 : 0);
      const metadata = { ...object.metadata, generation };
      return put(key, { ...object, metadata, status: current.status } as KubeObject, 'MODIFIED');
    },
    delete(resource, namespace, name, { uid, gracePeriodSeconds } = {}) {
      const key = keyFor(resource, namespace, name);
      const current = objects.get(key);
      if (current === undefined || (uid !== undefined && current.metadata.uid !== uid)) return;
      remove(key, current, gracePeriodSeconds);
    },
    watch(resource, _, listener) {
      const watcher = { kind: kindOf(resource), listener };
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}
