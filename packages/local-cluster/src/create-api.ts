import type { Clock, Random } from '@roundhouse/base';
import { type Api, ApiError, type KubeObject, type Resource, type TokenIssuer } from './api.ts';
import { follow } from './follow.ts';
import { collectGarbage } from './garbage.ts';
import { copyOf, type Json } from './json.ts';
import { createKinds, type Kind, type KindVersion } from './kinds.ts';
import { createRest, definitionsKey, type Rest } from './rest.ts';
import { badRequest } from './status.ts';
import type { Store } from './store.ts';
import { createTokens, type Tokens } from './tokens.ts';

export type LocalApi = Api & { readonly tokens: TokenIssuer & Tokens; readonly rest: Rest; close(): void };

/** Namespaces that every cluster has. */
const initialNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** The API over `store`. It works on the store until `close`; one store has one API. */
export function createApi(deps: { readonly store: Store; readonly clock: Clock; readonly random: Random }): LocalApi {
  const { store, clock } = deps;
  const kinds = createKinds();
  const rest = createRest({ ...deps, kinds });
  const kindOf = (resource: Resource): Kind => {
    const kind = kinds.find(resource);
    if (kind) return kind;
    throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
  };
  const create: Api['create'] = (resource, object) => {
    const kind = kindOf(resource);
    return rest.create(kind, versionFor(kind, object.apiVersion), copyOf<Json>(object)).object;
  };
  for (const definition of store.list(definitionsKey, undefined)) kinds.define(definition);
  const stopFollowing = store.onChange(({ key, type, object }) => {
    if (key === definitionsKey) type === 'DELETED' ? kinds.undefine(object) : kinds.define(object);
    if (key === '/namespaces' && type === 'ADDED') addServiceAccount(object.metadata.name);
  });
  const addServiceAccount = (namespace: string) => {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    create({ group: '', resource: 'serviceaccounts' }, account);
  };
  const stopCollecting = collectGarbage(rest);
  for (const name of initialNamespaces) {
    if (store.get('/namespaces', '', name)) continue;
    create({ group: '', resource: 'namespaces' }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  return {
    rest,
    tokens: createTokens({ store, clock }),
    get: (resource, namespace, name) => store.get(kindOf(resource).key, namespace ?? '', name),
    list(resource, { namespace, labels = {} } = {}) {
      const wanted = Object.entries(labels);
      const isWanted = ({ metadata }: KubeObject) => wanted.every(([key, value]) => metadata.labels?.[key] === value);
      const items = store.list(kindOf(resource).key, namespace).filter(isWanted);
      return { items, resourceVersion: String(store.revision) };
    },
    create,
    update(resource, object, subresource) {
      const kind = kindOf(resource);
      return rest.update(kind, versionFor(kind, object.apiVersion), copyOf<Json>(object), { subresource }).object;
    },
    delete(resource, namespace, name, options) {
      const kind = kindOf(resource);
      if (store.get(kind.key, namespace ?? '', name)) rest.remove(kind, namespace ?? '', name, options);
    },
    watch(resource, { resourceVersion, namespace }, listener) {
      return follow(store, kindOf(resource).key, Number(resourceVersion), ({ type, object }) => {
        if (namespace === undefined || object.metadata.namespace === namespace) listener({ type, object });
      });
    },
    close() {
      stopFollowing();
      stopCollecting();
    },
  };
}

function versionFor(kind: Kind, apiVersion: string): KindVersion {
  const found = kind.versions.find(({ name }) => apiVersion.endsWith(`/${name}`) || apiVersion === name);
  if (found) return found;
  throw badRequest(`no version "${apiVersion}" of ${kind.resource} is served`);
}
