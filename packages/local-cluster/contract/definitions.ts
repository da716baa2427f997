import { expect } from 'vitest';
import type { Body, Case, Client } from './client.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

const spec = {
  type: 'object',
  required: ['size'],
  'x-kubernetes-validations': [
    { rule: '!has(self.min) || self.min <= self.size', message: 'min must not be over size' },
    { rule: 'self.size >= oldSelf.size', message: 'size never shrinks' },
  ],
  properties: {
    size: { type: 'integer', minimum: 1, maximum: 10 },
    min: { type: 'integer', default: 1 },
    color: { type: 'string', enum: ['red', 'green'] },
    code: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
    fixed: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'is immutable' }] },
    memory: {
      'x-kubernetes-int-or-string': true,
      'x-kubernetes-validations': [
        { rule: 'type(self) == int || isQuantity(self)', message: 'must be a quantity' },
        { rule: 'type(self) == int || quantity(self).isLessThan(quantity("10Gi"))', message: 'must be under 10Gi' },
      ],
    },
    parts: {
      type: 'array',
      maxItems: 3,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, weight: { type: 'integer', default: 5 } },
      },
    },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    bag: { type: 'object', additionalProperties: { type: 'string' } },
    when: { type: 'string', format: 'date-time' },
  },
};

const version = (name: string, storage: boolean) => ({
  name,
  served: true,
  storage,
  subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.size' } },
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: {
        spec,
        status: { type: 'object', properties: { size: { type: 'integer' }, phase: { type: 'string' } } },
      },
    },
  },
  additionalPrinterColumns: [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
});

/** Defines Widgets in a group of their own, waits until they are served, and removes them in the end. */
async function withWidgets(client: Client, namespace: string, use: (at: string, group: string) => Promise<void>) {
  const group = `${namespace}.example.com`;
  const name = `widgets.${group}`;
  const made = await client.post(definitions, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
      versions: [version('v1', true), version('v1beta1', false)],
    },
  });
  expect(made.status).toBe(201);
  const at = `/apis/${group}/v1/namespaces/${namespace}/widgets`;
  await expect.poll(async () => (await client.get(at)).status, { timeout: 15_000 }).toBe(200);
  try {
    await use(at, group);
  } finally {
    await client.delete(`${definitions}/${name}`);
  }
}

const widget = (group: string, spec: object, name = 'w') => ({
  apiVersion: `${group}/v1`,
  kind: 'Widget',
  metadata: { name },
  spec,
});

/** Sends a Widget and gives the causes for which it was refused. */
const causesOf = async (client: Client, at: string, object: object) => {
  const { body } = await client.post(at, object);
  return (body.details?.causes ?? [])
    .filter(({ message }: Body) => !/some validation rules were not checked|accessor error/.test(message))
    .map(({ field, message }: Body) => `${field}: ${message}`);
};

/** CustomResourceDefinitions and the objects they define. */
export const definitionCases: readonly Case[] = [
  {
    name: 'establishes a definition and serves its kind in all its versions',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        const { body } = await client.get(`${definitions}/widgets.${group}`);
        const established = body.status.conditions.find((condition: Body) => condition.type === 'Established');
        expect(established.status).toBe('True');
        expect(body.status).toMatchObject({
          storedVersions: ['v1'],
          acceptedNames: { singular: 'widget', listKind: 'WidgetList' },
        });
        await client.post(at, widget(group, { size: 1 }));
        const { body: beta } = await client.get(`${at.replace('/v1/', '/v1beta1/')}/w`);
        expect(beta).toMatchObject({ apiVersion: `${group}/v1beta1`, kind: 'Widget', spec: { size: 1 } });
        await expect
          .poll(async () => (await client.get(`/apis/${group}`)).body.versions?.map((item: Body) => item.version))
          .toEqual(['v1', 'v1beta1']);
      });
    },
  },
  {
    name: 'fills in defaults and drops what the schema does not know',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        const sent = {
          size: 3,
          unknown: 1,
          parts: [{ name: 'a', more: true }],
          free: { any: { thing: [1] } },
          bag: { a: 'b' },
        };
        const { body, headers } = await client.post(`${at}?fieldValidation=Warn`, widget(group, sent));

        expect(body.spec).toEqual({
          size: 3,
          min: 1,
          parts: [{ name: 'a', weight: 5 }],
          free: { any: { thing: [1] } },
          bag: { a: 'b' },
        });
        expect(headers.warning).toContain('unknown field \\"spec.unknown\\"');
        const strict = await client.post(`${at}?fieldValidation=Strict`, widget(group, sent, 'x'));
        expect(strict.body).toMatchObject({ code: 400, reason: 'BadRequest' });
        expect(strict.body.message).toContain('strict decoding error: ');
        expect(strict.body.message).toContain('unknown field "spec.unknown"');
      });
    },
  },
  {
    name: 'says what is wrong in the words that people search for',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        const causes = (spec: object) => causesOf(client, at, widget(group, spec));
        expect(await causes({})).toEqual(['spec.size: Required value']);
        expect(await causes({ size: 'x' })).toEqual([
          'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
        ]);
        expect(await causes({ size: 11 })).toEqual([
          'spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10',
        ]);
        expect(await causes({ size: 0, min: 0 })).toEqual([
          'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
        ]);
        expect(await causes({ size: 1, color: 'blue' })).toEqual([
          'spec.color: Unsupported value: "blue": supported values: "red", "green"',
        ]);
        expect(await causes({ size: 1, code: 'A' })).toEqual([
          'spec.code: Invalid value: "A": spec.code in body should match \'^[a-z]+$\'',
        ]);
        expect(await causes({ size: 1, code: 'abcdefg' })).toEqual([
          'spec.code: Too long: may not be more than 5 bytes',
        ]);
        expect(await causes({ size: 1, when: 'now' })).toEqual([
          'spec.when: Invalid value: "now": spec.when in body must be of type date-time: "now"',
        ]);
        expect(await causes({ size: 1, parts: ['a', 'b', 'c', 'd'].map((name) => ({ name })) })).toEqual([
          'spec.parts: Too many: 4: must have at most 3 items',
        ]);
        expect(await causes({ size: 1, parts: [{ name: 'a' }, { name: 'a' }] })).toEqual([
          'spec.parts[1]: Duplicate value: {"name":"a"}',
        ]);
        const { body } = await client.post(at, widget(group, { size: 11 }));
        expect(body.message).toBe(
          `Widget.${group} "w" is invalid: spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10`,
        );
      });
    },
  },
  {
    name: 'asks the rules of the schema, those about changes on updates only',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        const causes = (spec: object) => causesOf(client, at, widget(group, spec));
        expect(await causes({ size: 2, min: 3 })).toEqual(['spec: Invalid value: "object": min must not be over size']);
        expect(await causes({ size: 2, memory: 'much' })).toContain(
          'spec.memory: Invalid value: "": must be a quantity',
        );
        expect(await causes({ size: 2, memory: '20Gi' })).toEqual([
          'spec.memory: Invalid value: "": must be under 10Gi',
        ]);
        const { status } = await client.post(at, widget(group, { size: 3, memory: '1500Mi', fixed: 'a' }));
        expect(status).toBe(201);
        const shrunk = await client.patch(`${at}/w`, { spec: { size: 2 } });
        expect(shrunk.body.message).toContain('spec: Invalid value: "object": size never shrinks');
        const changed = await client.patch(`${at}/w`, { spec: { fixed: 'b' } });
        expect(changed.body.message).toContain('spec.fixed: Invalid value: "string": is immutable');
        expect((await client.patch(`${at}/w`, { spec: { size: 4, memory: 7 } })).body.spec).toMatchObject({
          size: 4,
          memory: 7,
        });
      });
    },
  },
  {
    name: 'keeps the status of custom objects apart, and counts their generations',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        const { body } = await client.post(at, { ...widget(group, { size: 1 }), status: { phase: 'Faked' } });
        expect(body.status).toBeUndefined();
        expect(body.metadata.generation).toBe(1);
        const status = await client.patch(`${at}/w/status`, { spec: { size: 9 }, status: { phase: 'Ready' } });
        expect(status.body).toMatchObject({
          metadata: { generation: 1 },
          spec: { size: 1 },
          status: { phase: 'Ready' },
        });
        const scaled = await client.patch(`${at}/w/scale`, { spec: { replicas: 4 } });
        expect(scaled.body).toMatchObject({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 4 } });
        const labelled = await client.patch(`${at}/w`, { metadata: { labels: { a: 'b' } } });
        expect(labelled.body).toMatchObject({
          metadata: { generation: 2 },
          spec: { size: 4 },
          status: { phase: 'Ready' },
        });
        const { metadata: _metadata, ...unversioned } = labelled.body;
        const blind = await client.put(`${at}/w`, { ...unversioned, metadata: { name: 'w' } });
        expect(blind.body.message).toContain(
          'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
        );
      });
    },
  },
  {
    name: 'shows the columns of a definition',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        await client.post(at, widget(group, { size: 1 }));
        const { body } = await client.get(at, 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json');

        expect(body).toMatchObject({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
        expect(body.columnDefinitions.map((column: Body) => [column.name, column.priority])).toEqual([
          ['Name', 0],
          ['Size', 0],
          ['Phase', 1],
          ['Age', 0],
        ]);
        expect(body.rows[0].cells).toEqual(['w', 1, null, expect.stringMatching(/^\d+s$/)]);
        expect(body.rows[0].object).toMatchObject({ kind: 'PartialObjectMetadata', metadata: { name: 'w' } });
      });
    },
  },
  {
    name: 'refuses strategic patches of custom objects',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        await client.post(at, widget(group, { size: 1 }));
        const { body } = await client.patch(`${at}/w`, {}, 'application/strategic-merge-patch+json');

        expect(body).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' });
        expect(body.message).toContain(
          'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json',
        );
      });
    },
  },
  {
    name: 'takes its objects along when a definition goes',
    async run(client, namespace) {
      await withWidgets(client, namespace, async (at, group) => {
        await client.post(at, widget(group, { size: 1 }));
        const { body } = await client.delete(`${definitions}/widgets.${group}`);
        expect(body.metadata?.finalizers ?? []).toContain('customresourcecleanup.apiextensions.k8s.io');

        await expect
          .poll(async () => (await client.get(`${definitions}/widgets.${group}`)).status, { timeout: 15_000 })
          .toBe(404);
        await expect.poll(async () => (await client.get(at)).status, { timeout: 15_000 }).toBe(404);
      });
    },
  },
  {
    name: 'refuses a definition whose name or rules are wrong',
    async run(client, namespace) {
      const group = `${namespace}.example.com`;
      const bad = version('v1', true);
      const broken = {
        ...bad,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.(' }] } },
          },
        },
      };
      const { body } = await client.post(definitions, {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `gadgets.${group}` },
        spec: { group, scope: 'Namespaced', names: { plural: 'widgets', kind: 'Widget' }, versions: [broken] },
      });
      const fields = body.details.causes.map((cause: Body) => cause.field);

      expect(body.reason).toBe('Invalid');
      expect(fields).toContain('metadata.name');
      expect(fields.find((field: string) => field.includes('x-kubernetes-validations[0].rule'))).toBeDefined();
    },
  },
];
