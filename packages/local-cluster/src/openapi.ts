import { createHash } from 'node:crypto';
import { asJson, type Json } from './json.ts';
import type { Kind, Kinds, KindVersion } from './kinds.ts';

const metadataSchema: Json = {
  type: 'object',
  description: 'Standard metadata of an object.',
  properties: {
    name: { type: 'string', description: 'Unique within a namespace.' },
    generateName: { type: 'string', description: 'A prefix from which the server makes a unique name.' },
    namespace: { type: 'string', description: 'The namespace that the object is in.' },
    labels: { type: 'object', additionalProperties: { type: 'string' }, description: 'Keys and values to select by.' },
    annotations: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Keys and values for tools.',
    },
    finalizers: { type: 'array', items: { type: 'string' }, description: 'What must happen before the object may go.' },
    ownerReferences: { type: 'array', items: { type: 'object' }, description: 'Objects without which this one goes.' },
    uid: { type: 'string', description: 'Unique in time and space. Read-only.' },
    resourceVersion: { type: 'string', description: 'Changes with each write. Read-only, but for conflicts.' },
    generation: { type: 'integer', format: 'int64', description: 'Changes with each change of the spec. Read-only.' },
    creationTimestamp: { type: 'string', format: 'date-time', description: 'Read-only.' },
    deletionTimestamp: { type: 'string', format: 'date-time', description: 'Read-only.' },
  },
};

const apiFields: Json = {
  apiVersion: { type: 'string', description: 'The version of this representation of the object.' },
  kind: { type: 'string', description: 'The resource that this object represents.' },
};

/** Groups and versions with where their documents are; the address changes when the document does. */
export function openApiIndex(kinds: Kinds): Json {
  const places = new Set(
    kinds
      .all()
      .flatMap(({ group, versions }) =>
        versions.map(({ name }) => (group === '' ? `api/${name}` : `apis/${group}/${name}`)),
      ),
  );
  const entries = [...places].map((place) => {
    const hash = createHash('sha256')
      .update(JSON.stringify(openApiFor(kinds, place)))
      .digest('hex');
    return [place, { serverRelativeURL: `/openapi/v3/${place}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(entries) };
}

/** The OpenAPI v3 document of `api/v1` or `apis/<group>/<version>`. Built-in kinds have little more than their outline. */
export function openApiFor(kinds: Kinds, place: string): Json | undefined {
  const found = kinds.all().flatMap((kind) => {
    const version = kind.versions.find(
      ({ name }) => place === (kind.group === '' ? `api/${name}` : `apis/${kind.group}/${name}`),
    );
    return version ? [{ kind, version }] : [];
  });
  if (found.length === 0) return undefined;
  return {
    openapi: '3.0.0',
    info: { title: 'Roundhouse local cluster', version: 'v1' },
    paths: Object.assign({}, ...found.map(({ kind, version }) => pathsOf(kind, version, place))),
    components: {
      schemas: Object.fromEntries(
        found.map(({ kind, version }) => [schemaName(kind, version), schemaOf(kind, version)]),
      ),
    },
  };
}

/** What tools that know version 2 alone need: the definitions. */
export function openApiV2(kinds: Kinds): Json {
  const definitions = kinds
    .all()
    .flatMap((kind) => kind.versions.map((version) => [schemaName(kind, version), schemaOf(kind, version)]));
  return {
    swagger: '2.0',
    info: { title: 'Roundhouse local cluster', version: 'v1' },
    paths: {},
    definitions: Object.fromEntries(definitions),
  };
}

function schemaName({ group, kind }: Kind, { name }: KindVersion): string {
  const domain = group === '' ? 'core' : group.split('.').reverse().join('.');
  return `${group.includes('.') ? domain : `io.k8s.api.${domain}`}.${name}.${kind}`;
}

function gvkOf({ group, kind }: Kind, { name }: KindVersion): Json {
  return { group, version: name, kind };
}

function schemaOf(kind: Kind, version: KindVersion): Json {
  const source: Json = version.schema?.source ?? { type: 'object', description: `A ${kind.kind}.` };
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const outline = version.schema ? {} : { spec: open, ...(version.status && { status: open }) };
  return {
    ...source,
    properties: { ...outline, ...asJson(source.properties), ...apiFields, metadata: metadataSchema },
    'x-kubernetes-group-version-kind': [gvkOf(kind, version)],
  };
}

function pathsOf(kind: Kind, version: KindVersion, place: string): Json {
  const scope = kind.namespaced ? '/namespaces/{namespace}' : '';
  const base = `/${place}${scope}/${kind.resource}`;
  const schema = { $ref: `#/components/schemas/${schemaName(kind, version)}` };
  const ok = { 200: { description: 'OK', content: { 'application/json': { schema } } } };
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string' },
  }));
  const operation = (action: string, extra: Json = {}) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvkOf(kind, version),
    responses: ok,
    ...extra,
  });
  const write = { parameters, requestBody: { content: { 'application/json': { schema } } } };
  const patches = ['application/json-patch+json', 'application/merge-patch+json'];
  const patch = {
    parameters,
    requestBody: { content: Object.fromEntries(patches.map((type) => [type, { schema: {} }])) },
  };
  return {
    [base]: { get: operation('list'), post: operation('post', write), delete: operation('deletecollection') },
    [`${base}/{name}`]: {
      get: operation('get'),
      put: operation('put', write),
      patch: operation('patch', patch),
      delete: operation('delete', { parameters }),
    },
    ...(kind.namespaced && { [`/${place}/${kind.resource}`]: { get: operation('list') } }),
  };
}
