import { createHash } from 'node:crypto';
import type { Json } from './json.ts';
import { apiVersionOf, type Kind, type Kinds, type KindVersion } from './kinds.ts';

/** The Kubernetes release whose behaviour this API follows. */
export const version = {
  major: '1',
  minor: '34',
  gitVersion: 'v1.34.0+roundhouse',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '2025-08-27T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: '',
};

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

type Subresource = {
  readonly name: string;
  readonly kind: string;
  readonly apiVersion?: string;
  readonly verbs: readonly string[];
};

const subresourcesByKey: Readonly<Record<string, readonly Subresource[]>> = {
  '/pods': [
    { name: 'attach', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'eviction', kind: 'Eviction', apiVersion: 'policy/v1', verbs: ['create'] },
    { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  ],
  '/serviceaccounts': [
    { name: 'token', kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', verbs: ['create'] },
  ],
};

function subresourcesOf(kind: Kind, version: KindVersion): readonly Subresource[] {
  const changing = ['get', 'patch', 'update'];
  return [
    ...(subresourcesByKey[kind.key] ?? []),
    ...(version.scale ? [{ name: 'scale', kind: 'Scale', apiVersion: 'autoscaling/v1', verbs: changing }] : []),
    ...(version.status ? [{ name: 'status', kind: kind.kind, verbs: changing }] : []),
  ];
}

export type Group = { readonly name: string; readonly versions: readonly string[] };

/** Groups in the order of discovery, the core group not among them. */
export function groupsOf(kinds: Kinds): readonly Group[] {
  const groups = new Map<string, string[]>();
  for (const kind of kinds.all()) {
    if (kind.group === '') continue;
    const versions = groups.get(kind.group) ?? [];
    groups.set(kind.group, versions);
    for (const { name } of kind.versions) if (!versions.includes(name)) versions.push(name);
  }
  return [...groups].map(([name, versions]) => ({ name, versions }));
}

function resourcesIn(kinds: Kinds, group: string, name: string): readonly (readonly [Kind, KindVersion])[] {
  return kinds.all().flatMap((kind) => {
    const found = kind.group === group ? kind.versions.find((item) => item.name === name) : undefined;
    return found ? [[kind, found] as const] : [];
  });
}

export function apiGroup({ name, versions }: Group): Json {
  const all = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { kind: 'APIGroup', apiVersion: 'v1', name, versions: all, preferredVersion: all[0] };
}

export function apiResourceList(kinds: Kinds, group: string, version: string): Json | undefined {
  const found = resourcesIn(kinds, group, version);
  if (found.length === 0) return undefined;
  const resources = found.flatMap(([kind, kindVersion]) => [
    {
      name: kind.resource,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      verbs: kind.virtual ? ['create'] : verbs,
      ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
      ...(kind.categories.length > 0 && { categories: kind.categories }),
      ...(!kind.virtual && { storageVersionHash: hashOf(kind.key + kind.storedVersion) }),
    },
    ...subresourcesOf(kind, kindVersion).map((item) => ({
      name: `${kind.resource}/${item.name}`,
      singularName: '',
      namespaced: kind.namespaced,
      kind: item.kind,
      verbs: item.verbs,
      ...(item.apiVersion && { group: item.apiVersion.split('/')[0], version: item.apiVersion.split('/')[1] }),
    })),
  ]);
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group ? `${group}/${version}` : version,
    resources,
  };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

/** Aggregated discovery, which kubectl asks for first. */
export function groupDiscovery(kinds: Kinds, isCore: boolean): Json {
  const groups: readonly Group[] = isCore ? [{ name: '', versions: ['v1'] }] : groupsOf(kinds);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ name, versions }) => ({
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
  const { group } = kind;
  const subresources = subresourcesOf(kind, version);
  return {
    resource: kind.resource,
    responseKind: { group, version: version.name, kind: kind.kind },
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.virtual ? ['create'] : verbs,
    ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    ...(kind.categories.length > 0 && { categories: kind.categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((item) => {
        const [itemGroup, itemVersion] = (item.apiVersion ?? apiVersionOf(kind, version.name)).split('/').slice(-2);
        return {
          subresource: item.name,
          responseKind: { group: itemVersion ? itemGroup : '', version: itemVersion ?? itemGroup, kind: item.kind },
          verbs: item.verbs,
        };
      }),
    }),
  };
}
