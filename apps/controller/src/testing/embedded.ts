import { systemClock, systemRandom } from '@roundhouse/base';
import { builtInRuntime, customResourceDefinitions, type ResourceName } from '@roundhouse/crds';
import { type Api, createApi, type KubeObject, openStore, type Resource } from '@roundhouse/local-cluster';
import { type Cluster, keyOf, resources, type Stored, type View } from '../cluster.ts';
import { names } from './builders.ts';

/** The embedded API server with our kinds in it. */
export function openEmbedded() {
  const api = createApi({ store: openStore({ file: ':memory:' }), clock: systemClock, random: systemRandom });
  installKinds(api);
  return { api, close: () => api.close() };
}

/** What an installation brings: the kinds, the system's namespace, the built-in runtime. */
export function installKinds(api: Api): void {
  for (const definition of customResourceDefinitions()) {
    api.create(
      { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
      definition as unknown as KubeObject,
    );
  }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'roundhouse-system' } };
  api.create({ group: '', resource: 'namespaces' }, namespace);
  api.create(names.clusterServingRuntimes, builtInRuntime() as unknown as KubeObject);
}

/** The controller's writes, straight on the API. */
export function clusterOn(api: Api): Cluster {
  const optional: ReadonlySet<string> = new Set([resources.scaledObjects.group, resources.httpRoutes.group]);
  // Kinds that are not installed: the API server answers 404 for all of their objects.
  const get = (resource: Resource, namespace: string | undefined, name: string) =>
    optional.has(resource.group) ? undefined : (api.get(resource, namespace, name) as Stored | undefined);
  return {
    get: async (resource, namespace, name) => get(resource, namespace, name),
    create: async (resource, object) => api.create(resource, object as KubeObject) as Stored,
    replace: async (resource, object) => api.update(resource, object as KubeObject) as Stored,
    async patch(resource, { namespace, name, status }, patch) {
      const current = api.get(resource, namespace, name);
      if (current === undefined) return undefined;
      return api.update(resource, merged(current, patch) as KubeObject, status ? 'status' : undefined) as Stored;
    },
    async delete(resource, { namespace, name, uid }) {
      if (get(resource, namespace, name)?.metadata.uid === uid) api.delete(resource, namespace, name);
    },
    metadata: async (resource, namespace, name) => get(resource, namespace, name)?.metadata,
  };
}

/** Watches one resource into a map, as an informer does. */
export function watchInto(api: Api, resource: ResourceName, onChange: (object: Stored, gone: boolean) => void): View {
  const objects = new Map<string, Stored>();
  const { items, resourceVersion } = api.list(resource);
  for (const item of items) objects.set(keyOf(item as Stored), item as Stored);
  api.watch(resource, { resourceVersion }, ({ type, object }) => {
    const stored = object as Stored;
    if (type === 'DELETED') objects.delete(keyOf(stored));
    else objects.set(keyOf(stored), stored);
    onChange(stored, type === 'DELETED');
  });
  return { get: (key) => objects.get(key), list: () => objects.values() };
}

function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}
