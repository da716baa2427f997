import { createHash } from 'node:crypto';
import { asJson, type Json } from './json.ts';
import type { Kind, Kinds, KindVersion } from './kinds.ts';

const ownProperties: Json = {
  apiVersion: { type: 'string', description: 'The version of this representation of the object.' },
  kind: { type: 'string', description: 'The resource that this object represents.' },
  metadata: {
    type: 'object',
    description: 'Standard metadata of an object.',
    properties: {
      name: { type: 'string', description: 'Unique within a namespace.' },
      namespace: { type: 'string', description: 'The namespace that the object is in.' },
      labels: {
        type: 'object',
        additionalProperties: { type: 'string' },
        description: 'Keys and values to select by.',
      },
      annotations: { type: 'object', additionalProperties: { type: 'string' }, description: 'Values for tools.' },
    },
  },
};

/** Where the document of a group and version is, below `/openapi/v3/`. */
function placeOf({ group }: Kind, { name }: KindVersion): string {
  return group === '' ? `api/${name}` : `apis/${group}/${name}`;
}

/** Groups and versions with where their documents are; the address changes when the document does. */
export function openApiIndex(kinds: Kinds): Json {
  const places = new Set(kinds.all().flatMap((kind) => kind.versions.map((version) => placeOf(kind, version))));
  const entries = [...places].map((place) => {
    const document = JSON.stringify(openApiFor(kinds, place));
    const hash = createHash('sha256').update(document).digest('hex');
    return [place, { serverRelativeURL: `/openapi/v3/${place}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(entries) };
}

/** The OpenAPI v3 document of `api/v1` or `apis/<group>/<version>`. Of built-in kinds it tells what we look at ourselves. */
export function openApiFor(kinds: Kinds, place: string): Json | undefined {
  const found = kinds
    .all()
    .flatMap((kind) => kind.versions.map((version) => ({ kind, version })))
    .filter(({ kind, version }) => placeOf(kind, version) === place);
  if (found.length === 0) return undefined;
  const schemas = found.map(({ kind, version }) => [schemaName(kind, version), schemaOf(kind, version)]);
  return {
    openapi: '3.0.0',
    info: { title: 'Roundhouse local cluster', version: 'v1' },
    paths: Object.assign({}, ...found.map(({ kind, version }) => pathsOf(kind, version, place))),
    components: { schemas: Object.fromEntries(schemas) },
  };
}

function schemaName({ group, kind }: Kind, { name }: KindVersion): string {
  const domain = group.includes('.') ? group.split('.').reverse().join('.') : `io.k8s.api.${group || 'core'}`;
  return `${domain}.${name}.${kind}`;
}

function schemaOf(kind: Kind, { name, schema, status }: KindVersion): Json {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const outline = kind.custom ? {} : { spec: open, ...(status && { status: open }) };
  return {
    type: 'object',
    description: `A ${kind.kind}.`,
    ...schema,
    properties: { ...outline, ...asJson(schema?.properties), ...ownProperties },
    'x-kubernetes-group-version-kind': [{ group: kind.group, version: name, kind: kind.kind }],
  };
}

/** The operations, by which kubectl finds the schema of a kind and whether the server validates fields. */
function pathsOf(kind: Kind, version: KindVersion, place: string): Json {
  const base = `/${place}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.resource}`;
  const schema = { $ref: `#/components/schemas/${schemaName(kind, version)}` };
  const content = { 'application/json': { schema } };
  const names = ['dryRun', 'fieldManager', 'fieldValidation'];
  const operation = (action: string) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: kind.group, version: version.name, kind: kind.kind },
    responses: { 200: { description: 'OK', content } },
    ...(/^(post|put|patch)$/.test(action) && {
      parameters: names.map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
      requestBody: { content: action === 'patch' ? { 'application/merge-patch+json': {} } : content },
    }),
  });
  const operations = (...actions: string[]) => actions.map((action) => [action, operation(action)]);
  return {
    [base]: { get: operation('list'), post: operation('post'), delete: operation('deletecollection') },
    [`${base}/{name}`]: Object.fromEntries(operations('get', 'put', 'patch', 'delete')),
  };
}
