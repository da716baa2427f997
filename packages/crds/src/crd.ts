import { z } from 'zod';
import { inferenceServiceSchema } from './inference-service/schema.ts';
import { type Names, namesFor, type ResourceName } from './names.ts';
import { servingRuntimeSchema } from './serving-runtime/schema.ts';
import { trainedModelSchema } from './trained-model/schema.ts';

type Json = { [key: string]: unknown };

type Column = { readonly name: string; readonly type: string; readonly jsonPath: string };

type Definition = {
  readonly names: ResourceName;
  readonly shortName: string | undefined;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly status: boolean;
  readonly columns: readonly Column[];
  readonly schema: z.ZodType;
};

const conditionPath = (type: string, field: string) => `.status.conditions[?(@.type=='${type}')].${field}`;
const column = (name: string, type: string, jsonPath: string): Column => ({ name, type, jsonPath });
const ageColumn = column('Age', 'date', '.metadata.creationTimestamp');

/** The CustomResourceDefinitions of the four kinds, as `deploy/crds` holds them. */
export function customResourceDefinitions(names: Names = namesFor()) {
  const traffic = (filter: string, field: string) => `.status.components.predictor.traffic[?(@.${filter})].${field}`;
  const runtimeColumns = [
    column('Disabled', 'boolean', '.spec.disabled'),
    column('ModelType', 'string', '.spec.supportedModelFormats[*].name'),
    column('Containers', 'string', '.spec.containers[*].name'),
    ageColumn,
  ];
  const runtime = { shortName: undefined, status: false, columns: runtimeColumns, schema: servingRuntimeSchema };
  return [
    definition({
      names: names.inferenceServices,
      shortName: names.shortNames.inferenceService,
      scope: 'Namespaced',
      status: true,
      columns: [
        column('URL', 'string', '.status.url'),
        column('Ready', 'string', conditionPath('Ready', 'status')),
        column('Prev', 'integer', traffic("tag=='prev'", 'percent')),
        column('Latest', 'integer', traffic('latestRevision==true', 'percent')),
        column('PrevRolledoutRevision', 'string', traffic("tag=='prev'", 'revisionName')),
        column('LatestReadyRevision', 'string', traffic('latestRevision==true', 'revisionName')),
        ageColumn,
      ],
      schema: inferenceServiceSchema,
    }),
    definition({
      names: names.trainedModels,
      shortName: names.shortNames.trainedModel,
      scope: 'Namespaced',
      status: true,
      columns: [
        column('URL', 'string', '.status.url'),
        column('Ready', 'string', conditionPath('Ready', 'status')),
        column('Copies', 'string', '.status.copies.summary'),
        column('Reason', 'string', conditionPath('Ready', 'reason')),
        ageColumn,
      ],
      schema: trainedModelSchema,
    }),
    definition({ ...runtime, names: names.servingRuntimes, scope: 'Namespaced' }),
    definition({ ...runtime, names: names.clusterServingRuntimes, scope: 'Cluster' }),
  ];
}

function definition({ names, shortName, scope, status, columns, schema }: Definition) {
  const version = {
    name: names.version,
    served: true,
    storage: true,
    ...(status ? { subresources: { status: {} } } : {}),
    additionalPrinterColumns: columns,
    schema: { openAPIV3Schema: structural(schema) },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.resource}.${names.group}` },
    spec: {
      group: names.group,
      names: {
        kind: names.kind,
        listKind: `${names.kind}List`,
        plural: names.resource,
        singular: names.kind.toLowerCase(),
        ...(shortName === undefined ? {} : { shortNames: [shortName] }),
      },
      scope,
      versions: [version],
    },
  };
}

function structural(schema: z.ZodType): Json {
  const { $schema: _, ...root } = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
  }) as Json;
  const { type, required, properties, ...rest } = clean(root) as Json;
  const implied = { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: { type: 'object' } };
  return { type, required, properties: { ...implied, ...(properties as Json) }, ...rest };
}

/** What JSON Schema says in ways that a structural schema may not. */
function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  const { additionalProperties, propertyNames: _, ...node } = value as Json;
  if (node['x-kubernetes-int-or-string'] === true) {
    const { anyOf: __, ...rest } = node;
    return { anyOf: [{ type: 'integer' }, { type: 'string' }], ...rest };
  }
  if (node.type === 'integer') {
    const { minimum, maximum, format = 'int64', ...rest } = node;
    return { ...rest, format, ...(minimum === Number.MIN_SAFE_INTEGER ? {} : { minimum }) };
  }
  const open = typeof additionalProperties === 'object' && Object.keys(additionalProperties as Json).length > 0;
  const entries = Object.entries(node).map(([key, child]) => [
    key,
    key === 'properties'
      ? Object.fromEntries(Object.entries(child as Json).map(([k, v]) => [k, clean(v)]))
      : clean(child),
  ]);
  return { ...Object.fromEntries(entries), ...(open ? { additionalProperties: clean(additionalProperties) } : {}) };
}
