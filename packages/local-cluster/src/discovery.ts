import type { Json } from './json.ts';
import { type Kind, type Kinds, type KindVersion, splitApiVersion } from './kinds.ts';

/** The Kubernetes release whose behaviour this API follows. */
export const version = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0+roundhouse',
};

const changing = ['get', 'patch', 'update'];
const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

type Subresource = {
  readonly name: string;
  readonly kind: string;
  readonly apiVersion?: string;
  readonly verbs: readonly string[];
};

const subresourcesByKey: Readonly<Record<string, readonly Subresource[]>> = {
  '/pods': [{ name: 'log', kind: 'Pod', verbs: ['get'] }],
  '/serviceaccounts': [
    { name: 'token', kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', verbs: ['create'] },
  ],
};

function subresourcesOf(kind: Kind, version: KindVersion): readonly Subresource[] {
  return [
    ...(subresourcesByKey[kind.key] ?? []),
    ...(version.scale ? [{ name: 'scale', kind: 'Scale', apiVersion: 'autoscaling/v1', verbs: changing }] : []),
    ...(version.status ? [{ name: 'status', kind: kind.kind, verbs: changing }] : []),
  ];
}

/** The versions of each group, in the order of discovery; the core group is ''. */
export function groupsOf(kinds: Kinds): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, readonly string[]>();
  for (const { group, versions } of kinds.all()) {
    groups.set(group, [...new Set([...(groups.get(group) ?? []), ...versions.map(({ name }) => name)])]);
  }
  return groups;
}

function resourcesIn(kinds: Kinds, group: string, name: string): readonly (readonly [Kind, KindVersion])[] {
  return kinds.all().flatMap((kind) => {
    const found = kind.group === group ? kind.versions.find((item) => item.name === name) : undefined;
    return found ? [[kind, found] as const] : [];
  });
}

export function apiGroup(name: string, versions: readonly string[]): Json {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name, versions: all, preferredVersion: all[0] };
}

/** What is said of a resource in both forms of discovery. */
function commonOf({ virtual, shortNames, categories }: Kind): Json {
  return {
    verbs: virtual ? ['create'] : verbs,
    ...(shortNames.length > 0 && { shortNames }),
    ...(categories.length > 0 && { categories }),
  };
}

export function apiResourceList(kinds: Kinds, group: string, version: string): Json | undefined {
  const found = resourcesIn(kinds, group, version);
  if (found.length === 0) return undefined;
  const resources = found.flatMap(([kind, kindVersion]) => {
    const { resource: name, singular: singularName, namespaced } = kind;
    const subresources = subresourcesOf(kind, kindVersion).map(({ apiVersion, ...item }) => {
      const elsewhere = apiVersion === undefined ? {} : splitApiVersion(apiVersion);
      return { ...item, ...elsewhere, name: `${name}/${item.name}`, singularName: '', namespaced };
    });
    return [{ name, singularName, namespaced, kind: kind.kind, ...commonOf(kind) }, ...subresources];
  });
  const groupVersion = group ? `${group}/${version}` : version;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

/** Aggregated discovery, which kubectl asks for first. */
export function groupDiscovery(kinds: Kinds, isCore: boolean): Json {
  const groups = [...groupsOf(kinds)].filter(([name]) => (name === '') === isCore);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(([name, versions]) => ({
      metadata: { name: name === '' ? null : name, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        freshness: 'Current',
        resources: resourcesIn(kinds, name, version).map(([kind, kindVersion]) => discovered(kind, kindVersion)),
      })),
    })),
  };
}

function discovered(kind: Kind, version: KindVersion): Json {
  const own = { group: kind.group, version: version.name };
  const subresources = subresourcesOf(kind, version).map((item) => ({
    subresource: item.name,
    responseKind: { ...(item.apiVersion ? splitApiVersion(item.apiVersion) : own), kind: item.kind },
    verbs: item.verbs,
  }));
  return {
    resource: kind.resource,
    responseKind: { ...own, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    ...commonOf(kind),
    ...(subresources.length > 0 && { subresources }),
  };
}
