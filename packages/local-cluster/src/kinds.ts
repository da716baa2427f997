import type { KubeObject, Resource } from './api.ts';
import { asJson, asList, type Json } from './json.ts';
import type { Schema } from './schema.ts';

export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly priority: number;
  readonly description: string;
  /** The cell; undefined shows as `<none>` or stays empty, as kubectl has it for the kind. */
  readonly cell: (object: KubeObject, nowMs: number) => unknown;
};

export type ScalePaths = {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  readonly selector?: string;
};

export type KindVersion = {
  readonly name: string;
  readonly status: boolean;
  readonly scale?: ScalePaths;
  /** Custom resources have one; built-in kinds are checked by hand where it matters. */
  readonly schema?: Schema;
  readonly columns?: readonly Column[];
};

/** A resource that is served, and how its objects are stored. */
export type Kind = Resource & {
  readonly kind: string;
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly custom: boolean;
  /** Served versions, the preferred one first. */
  readonly versions: readonly KindVersion[];
  /** The `apiVersion` of stored objects. */
  readonly storedVersion: string;
  /** The store's key. Two resources may show the same objects: Events have two groups. */
  readonly key: string;
  /** Reviews are answered and not stored: they can only be created. */
  readonly virtual: boolean;
};

type Options = {
  readonly cluster?: true;
  readonly short?: readonly string[];
  readonly status?: true;
  readonly scale?: true;
  readonly all?: true;
  readonly virtual?: true;
  readonly plural?: string;
  readonly key?: string;
};

const workloadScale: ScalePaths = { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas' };

function builtin(apiVersion: string, kind: string, options: Options = {}): Kind {
  const { group, version } = splitApiVersion(apiVersion);
  const resource = options.plural ?? `${kind.toLowerCase()}s`;
  return {
    group,
    resource,
    kind,
    listKind: `${kind}List`,
    singular: kind.toLowerCase(),
    shortNames: options.short ?? [],
    categories: options.all ? ['all'] : [],
    namespaced: !options.cluster,
    custom: false,
    versions: [{ name: version, status: options.status ?? false, ...(options.scale && { scale: workloadScale }) }],
    storedVersion: apiVersion,
    key: options.key ?? `${group}/${resource}`,
    virtual: options.virtual ?? false,
  };
}

const rbac = 'rbac.authorization.k8s.io/v1';
const authorization = 'authorization.k8s.io/v1';

const builtins: readonly Kind[] = [
  builtin('v1', 'Namespace', { cluster: true, short: ['ns'], status: true }),
  builtin('v1', 'Pod', { short: ['po'], status: true, all: true }),
  builtin('v1', 'Service', { short: ['svc'], status: true, all: true }),
  builtin('v1', 'Endpoints', { short: ['ep'], plural: 'endpoints' }),
  builtin('v1', 'ConfigMap', { short: ['cm'] }),
  builtin('v1', 'Secret'),
  builtin('v1', 'ServiceAccount', { short: ['sa'] }),
  builtin('v1', 'Event', { short: ['ev'] }),
  builtin('v1', 'Node', { cluster: true, short: ['no'], status: true }),
  builtin('apps/v1', 'Deployment', { short: ['deploy'], status: true, scale: true, all: true }),
  builtin('apps/v1', 'ReplicaSet', { short: ['rs'], status: true, scale: true, all: true }),
  builtin('discovery.k8s.io/v1', 'EndpointSlice'),
  builtin('events.k8s.io/v1', 'Event', { short: ['ev'], key: '/events' }),
  builtin('coordination.k8s.io/v1', 'Lease'),
  builtin('autoscaling/v2', 'HorizontalPodAutoscaler', { short: ['hpa'], status: true, all: true }),
  builtin('policy/v1', 'PodDisruptionBudget', { short: ['pdb'], status: true }),
  builtin('networking.k8s.io/v1', 'NetworkPolicy', { short: ['netpol'], plural: 'networkpolicies' }),
  builtin('networking.k8s.io/v1', 'Ingress', { short: ['ing'], plural: 'ingresses', status: true }),
  builtin(rbac, 'Role'),
  builtin(rbac, 'RoleBinding'),
  builtin(rbac, 'ClusterRole', { cluster: true }),
  builtin(rbac, 'ClusterRoleBinding', { cluster: true }),
  builtin('apiextensions.k8s.io/v1', 'CustomResourceDefinition', {
    cluster: true,
    short: ['crd', 'crds'],
    status: true,
  }),
  builtin('authentication.k8s.io/v1', 'TokenReview', { cluster: true, virtual: true }),
  builtin('authentication.k8s.io/v1', 'SelfSubjectReview', { cluster: true, virtual: true }),
  builtin(authorization, 'SelfSubjectAccessReview', { cluster: true, virtual: true }),
  builtin(authorization, 'SubjectAccessReview', { cluster: true, virtual: true }),
  builtin(authorization, 'SelfSubjectRulesReview', { cluster: true, virtual: true }),
];

export type Kinds = {
  all(): readonly Kind[];
  find(resource: Resource): Kind | undefined;
  /** The resource of an object, such as an owner. */
  findKind(apiVersion: string, kind: string): Kind | undefined;
  ofKey(key: string): Kind | undefined;
  /** Adds or replaces the resource that an established CustomResourceDefinition defines. */
  define(kind: Kind): void;
  undefine(resource: Resource): void;
};

export function createKinds(): Kinds {
  const byName = new Map(builtins.map((kind) => [idOf(kind), kind]));
  return {
    all: () => [...byName.values()],
    find: (resource) => byName.get(idOf(resource)),
    findKind(apiVersion, name) {
      const { group } = splitApiVersion(apiVersion);
      return [...byName.values()].find((kind) => kind.group === group && kind.kind === name);
    },
    ofKey: (key) => [...byName.values()].find((kind) => kind.key === key),
    define: (kind) => void byName.set(idOf(kind), kind),
    undefine: (resource) => void byName.delete(idOf(resource)),
  };
}

function idOf({ group, resource }: Resource): string {
  return `${group}/${resource}`;
}

export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(0, slash)), version: apiVersion.slice(slash + 1) };
}

export function apiVersionOf(kind: Kind, version: string): string {
  return kind.group === '' ? version : `${kind.group}/${version}`;
}

/** The object as it is served in `version`. */
export function served(kind: Kind, version: string, object: KubeObject): KubeObject {
  const apiVersion = apiVersionOf(kind, version);
  if (object.apiVersion === apiVersion) return object;
  if (apiVersion === 'events.k8s.io/v1') return renamed(object, apiVersion, eventFields, 0);
  return { ...object, apiVersion };
}

/** The object as it is stored. */
export function stored(kind: Kind, object: Json): Json {
  if (object.apiVersion === 'events.k8s.io/v1') return renamed(object as KubeObject, 'v1', eventFields, 1);
  return { ...object, apiVersion: kind.key === '/events' ? 'v1' : kind.storedVersion };
}

/** Fields of an Event in v1 and in events.k8s.io/v1. */
const eventFields: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function renamed(object: KubeObject, apiVersion: string, fields: typeof eventFields, from: 0 | 1): KubeObject {
  const names = new Map(fields.map((pair) => [pair[from], pair[1 - from]]));
  const entries = Object.entries(object).map(([field, value]) => [names.get(field) ?? field, value]);
  return { ...Object.fromEntries(entries), apiVersion };
}

/** What a CustomResourceDefinition defines. `columnsOf` makes the printer columns of a version. */
export function kindOfDefinition(
  definition: KubeObject,
  schemaOf: (schema: Json) => Schema,
  columnsOf: (columns: readonly unknown[]) => readonly Column[],
): Kind {
  const spec = asJson(definition.spec);
  const names = asJson(spec.names);
  const group = String(spec.group);
  const strings = (value: unknown) => asList(value).map(String);
  const all = asList(spec.versions).map(asJson);
  const version = (item: Json): KindVersion => {
    const scale = asJson(asJson(item.subresources).scale);
    const path = (value: unknown) => String(value).replace(/^\./, '');
    return {
      name: String(item.name),
      status: 'status' in asJson(item.subresources),
      ...(scale.specReplicasPath !== undefined && {
        scale: {
          specReplicas: path(scale.specReplicasPath),
          statusReplicas: path(scale.statusReplicasPath),
          ...(scale.labelSelectorPath !== undefined && { selector: path(scale.labelSelectorPath) }),
        },
      }),
      schema: schemaOf(asJson(asJson(item.schema).openAPIV3Schema)),
      columns: columnsOf(asList(item.additionalPrinterColumns)),
    };
  };
  const storage = all.find((item) => item.storage === true) ?? {};
  const resource = String(names.plural);
  return {
    group,
    resource,
    kind: String(names.kind),
    listKind: String(names.listKind ?? `${names.kind}List`),
    singular: String(names.singular ?? String(names.kind).toLowerCase()),
    shortNames: strings(names.shortNames),
    categories: strings(names.categories),
    namespaced: spec.scope === 'Namespaced',
    custom: true,
    versions: all
      .filter((item) => item.served === true)
      .sort((a, b) => comparePriority(String(a.name), String(b.name)))
      .map(version),
    storedVersion: `${group}/${storage.name}`,
    key: `${group}/${resource}`,
    virtual: false,
  };
}

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name. */
function comparePriority(a: string, b: string): number {
  const rank = (name: string) => {
    const [, major, stage, minor] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name) ?? [];
    if (major === undefined) return undefined;
    return [stage === undefined ? 2 : stage === 'beta' ? 1 : 0, Number(major), Number(minor ?? 0)] as const;
  };
  const [x, y] = [rank(a), rank(b)];
  if (x && y) return y[0] - x[0] || y[1] - x[1] || y[2] - x[2];
  return x ? -1 : y ? 1 : a < b ? -1 : 1;
}
