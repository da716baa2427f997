import type { KubeObject, Resource } from './api.ts';
import builtins from './builtin-kinds.json' with { type: 'json' };
import { builtinColumns, type Column, customColumns } from './columns.ts';
import { asJson, asList, isJson, type Json, jsons } from './json.ts';
import type { Schema } from './schema.ts';

export type ScalePaths = {
  readonly specReplicas: string;
  readonly statusReplicas: string;
  readonly selector?: string;
};

export type KindVersion = {
  readonly name: string;
  readonly status: boolean;
  readonly scale: ScalePaths | undefined;
  /** The defaults and checks of a kind. It is all that custom resources may hold, and a part of what built-in ones may. */
  readonly schema: Schema | undefined;
  readonly columns: readonly Column[];
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
  /** Objects count the changes of their spec. */
  readonly hasGeneration: boolean;
  /** The status of a new object; others start without. */
  readonly initialStatus: Json | undefined;
};

const workloadScale: ScalePaths = { specReplicas: 'spec.replicas', statusReplicas: 'status.replicas' };

/** A kind of `builtin-kinds.json`, which describes Kubernetes' own as a definition would: names, columns, defaults, rules. */
function builtin(entry: Json): Kind {
  const apiVersion = String(entry.apiVersion);
  const { group, version } = splitApiVersion(apiVersion);
  const kind = String(entry.kind);
  const resource = String(entry.plural ?? `${kind.toLowerCase()}s`);
  const key = String(entry.key ?? `${group}/${resource}`);
  const schema = isJson(entry.schema) ? (resolved(entry.schema) as Json) : undefined;
  const status = asList(entry.subresources).includes('status');
  const scale = asList(entry.subresources).includes('scale') ? workloadScale : undefined;
  return {
    group,
    resource,
    kind,
    listKind: `${kind}List`,
    singular: kind.toLowerCase(),
    shortNames: asList(entry.short).map(String),
    categories: asList(entry.categories).map(String),
    namespaced: entry.cluster !== true,
    custom: false,
    versions: [{ name: version, status, scale, schema, columns: builtinColumns(key, asList(entry.columns)) }],
    storedVersion: key === '/events' ? 'v1' : apiVersion,
    key,
    virtual: entry.virtual === true,
    hasGeneration: entry.counted === true,
    initialStatus: isJson(entry.status) ? entry.status : undefined,
  };
}

const schemas: Json = builtins.schemas;

/** A schema with those that it refers to written into it. */
function resolved(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(resolved);
  if (!isJson(schema)) return schema;
  const own = Object.fromEntries(Object.entries(schema).map(([name, child]) => [name, resolved(child)]));
  const shared = schema.$ref === undefined ? {} : asJson(resolved(schemas[String(schema.$ref)]));
  const properties = { ...asJson(shared.properties), ...asJson(own.properties) };
  return { ...shared, ...own, $ref: undefined, ...(Object.keys(properties).length > 0 && { properties }) };
}

export type Kinds = {
  all(): readonly Kind[];
  find(resource: Resource): Kind | undefined;
  /** The resource of an object, such as an owner. */
  findKind(apiVersion: string, kind: string): Kind | undefined;
  ofKey(key: string): Kind | undefined;
  /** Adds or replaces the resource that an established CustomResourceDefinition defines. */
  define(definition: KubeObject): void;
  undefine(definition: KubeObject): void;
};

export function createKinds(): Kinds {
  const byName = new Map(jsons(builtins.kinds).map((entry) => [idOf(builtin(entry)), builtin(entry)]));
  const all = () => [...byName.values()];
  return {
    all,
    find: (resource) => byName.get(idOf(resource)),
    findKind(apiVersion, name) {
      const { group } = splitApiVersion(apiVersion);
      return all().find((kind) => kind.group === group && kind.kind === name);
    },
    ofKey: (key) => all().find((kind) => kind.key === key),
    define: (definition) => void byName.set(idOf(definedBy(definition)), kindOfDefinition(definition)),
    undefine: (definition) => void byName.delete(idOf(definedBy(definition))),
  };
}

function idOf({ group, resource }: Resource): string {
  return `${group}/${resource}`;
}

/** The resource that a CustomResourceDefinition defines. */
export function definedBy({ spec }: KubeObject): Resource {
  const { group, names } = asJson(spec);
  return { group: String(group), resource: String(asJson(names).plural) };
}

function kindOfDefinition(definition: KubeObject): Kind {
  const { names, versions, scope } = asJson(definition.spec);
  const { kind, listKind, singular, shortNames, categories } = asJson(names);
  const { group, resource } = definedBy(definition);
  return {
    group,
    resource,
    kind: String(kind),
    listKind: String(listKind),
    singular: String(singular),
    shortNames: asList(shortNames).map(String),
    categories: asList(categories).map(String),
    namespaced: scope === 'Namespaced',
    custom: true,
    versions: jsons(versions)
      .filter(({ served }) => served === true)
      .map(definedVersion)
      .sort((a, b) => comparePriority(a.name, b.name)),
    storedVersion: `${group}/${jsons(versions).find(({ storage }) => storage === true)?.name}`,
    key: `${group}/${resource}`,
    virtual: false,
    hasGeneration: true,
    initialStatus: undefined,
  };
}

function definedVersion({ name, subresources, schema, additionalPrinterColumns }: Json): KindVersion {
  const { status, scale } = asJson(subresources);
  const { specReplicasPath, statusReplicasPath, labelSelectorPath } = asJson(scale);
  const path = (value: unknown) => String(value).replace(/^\./, '');
  const paths = {
    specReplicas: path(specReplicasPath),
    statusReplicas: path(statusReplicasPath),
    ...(labelSelectorPath !== undefined && { selector: path(labelSelectorPath) }),
  };
  return {
    name: String(name),
    status: status !== undefined,
    scale: isJson(scale) ? paths : undefined,
    schema: asJson(asJson(schema).openAPIV3Schema),
    columns: customColumns(jsons(additionalPrinterColumns)),
  };
}

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name. */
function comparePriority(a: string, b: string): number {
  const rank = (name: string) => {
    const [, major, stage = 'ga', minor = 0] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(name) ?? [];
    return major === undefined ? [] : [['alpha', 'beta', 'ga'].indexOf(stage), Number(major), Number(minor)];
  };
  const [x, y] = [rank(a), rank(b)];
  if (x.length !== y.length) return y.length - x.length;
  const first = x.findIndex((part, index) => part !== y[index]);
  return first < 0 ? a.localeCompare(b) : Number(y[first]) - Number(x[first]);
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
  return apiVersion === 'events.k8s.io/v1' ? renamed(object, apiVersion, 0) : { ...object, apiVersion };
}

/** The object as it is stored. */
export function stored({ storedVersion }: Kind, object: Json): Json {
  if (object.apiVersion === 'events.k8s.io/v1') return renamed(object as KubeObject, storedVersion, 1);
  return { ...object, apiVersion: storedVersion };
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

function renamed(object: KubeObject, apiVersion: string, from: 0 | 1): KubeObject {
  const names = new Map(eventFields.map((pair) => [pair[from], pair[1 - from]]));
  const entries = Object.entries(object).map(([field, value]) => [names.get(field) ?? field, value]);
  return { ...Object.fromEntries(entries), apiVersion };
}
