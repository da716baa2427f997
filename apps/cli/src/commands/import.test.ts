import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inferenceServiceProblems, trainedModelProblems } from '@roundhouse/crds';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { convertManifests, sources } from '../import/convert.ts';
import type { Manifest } from '../import/manifest.ts';
import { type ImportRequest, importManifests } from './import.ts';

const samples = join(import.meta.dirname, '../import/samples');
const options = { memory: '256Mi', bucket: undefined };

function run(given: Partial<ImportRequest> & { readonly text?: string }) {
  const printed: string[] = [];
  const notes: string[] = [];
  const { text = '', ...request } = given;
  const deps = {
    print: (line: string) => printed.push(line),
    printNote: (line: string) => notes.push(line),
    standardInput: () => text,
  };
  const status = importManifests(deps, { file: '-', from: undefined, output: 'yaml', ...options, ...request });
  return { status, text: printed.join('\n'), notes };
}

describe('roundhouse import', () => {
  it.each([
    ['modelmesh', { bucket: 'models' }, 1],
    ['seldon', {}, 1],
    ['kserve', { from: 'kserve' }, 0],
  ] as const)('converts a sample of %s, and names what has no counterpart', async (name, given, expected) => {
    const { status, text, notes } = run({ file: join(samples, `${name}.yaml`), ...given });

    expect(status).toBe(expected);
    const golden = `${text}\n\n# On standard error:\n${notes.map((note) => `# ${note}`).join('\n')}\n`;
    await expect(golden).toMatchFileSnapshot(`../import/__golden__/${name}.yaml`);
  });

  it('tells by each object where it is from, alike in a List and as JSON', () => {
    const documents = ['modelmesh', 'seldon', 'kserve'].map((name) =>
      readFileSync(join(samples, `${name}.yaml`), 'utf8'),
    );
    const all = run({ text: documents.join('---\n'), output: 'json' });
    const { items, notes, kind } = JSON.parse(all.text);
    const again = run({ text: all.text, output: 'json' });

    expect(kind).toBe('List');
    expect(items.map(({ metadata }: Manifest) => metadata.name)).toEqual(
      expect.arrayContaining(['mnist', 'iris', 'sklearn-iris', 'shared', 'already', 'model-serving-config']),
    );
    expect(notes).toContainEqual(expect.objectContaining({ message: expect.stringMatching(/works as it is/) }));
    expect(JSON.parse(again.text).items).toEqual(items); // ours is passed on as it is
    expect(again.status).toBe(0);
  });

  it('says where the bucket of ModelMesh stands when nobody names it', () => {
    const { status, notes } = run({ file: join(samples, 'modelmesh.yaml') });

    expect(status).toBe(1);
    expect(notes.join('\n')).toMatch(
      /^problem: InferenceService vision\/fraud, spec.predictor.model.storage.parameters.bucket: .*default_bucket.*--bucket$/m,
    );
  });

  it('does not write one object over another', () => {
    const model =
      'apiVersion: mlops.seldon.io/v1alpha1\nkind: Model\nmetadata: {name: a}\nspec: {storageUri: s3://b/a, requirements: [onnx]}\n';
    const { status, notes } = run({ text: `${model}---\n${model}` });

    expect(status).toBe(1);
    expect(notes.join('\n')).toMatch(/TrainedModel default\/a is there already; rename one of them/);
  });

  it.each([
    ['a: [', /standard input: .*/],
    ['kind: Model\n', /standard input: document 1 has no apiVersion, kind and metadata.name/],
    ['kind: List\nitems: [{}, 7]\n', /document 1, item 1 has no apiVersion/],
  ])('refuses %j', (text, message) => {
    expect(() => run({ text })).toThrow(message);
  });

  it('says that a file is not there, and takes an empty one', () => {
    expect(() => run({ file: '/nowhere.yaml' })).toThrow(/there is no file \/nowhere.yaml/);
    expect(run({ text: '' })).toEqual({ status: 0, text: '', notes: [] });
  });
});

const text = fc.oneof(
  fc.string(),
  fc.constantFrom('sklearn', 'onnx', 'mlserver-1.x', 's3', 'gs', 's3://bucket/model', 'v2', '1Gi'),
);
const leaf = fc.oneof(text, fc.integer(), fc.array(text, { maxLength: 2 }));
const key = fc.constantFrom(
  ...[
    'modelType',
    'name',
    'storage',
    's3',
    'bucket',
    'path',
    'key',
    'parameters',
    'type',
    'predictor',
    'model',
    'modelFormat',
  ],
  ...[
    'storageUri',
    'runtime',
    'requirements',
    'memory',
    'server',
    'serverConfig',
    'replicas',
    'maxReplicas',
    'xgboost',
    'other',
  ],
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.dictionary(key, fc.oneof({ depthSize: 'small' }, leaf, tie('tree')), { maxKeys: 6 }),
}));
const manifest = fc.record({
  apiVersion: fc.constantFrom('serving.kserve.io/v1alpha1', 'serving.kserve.io/v1beta1', 'mlops.seldon.io/v1alpha1'),
  kind: fc.constantFrom('Predictor', 'InferenceService', 'Model', 'Server', 'ServingRuntime', 'Pipeline'),
  metadata: fc.record({ name: fc.stringMatching(/^[a-z][a-z0-9.-]{0,60}$/) }),
  spec: tree,
}) as fc.Arbitrary<Manifest>;

const nameOf = ({ metadata }: Manifest) => metadata.name;

describe('convertManifests', () => {
  it('gives only what our CRDs take, and loses no object and no field without a word', () => {
    const from = fc.constantFrom(undefined, ...sources.map(({ name }) => name));
    fc.assert(
      fc.property(fc.uniqueArray(manifest, { maxLength: 4, selector: nameOf }), from, (given, named) => {
        const { objects, notes } = convertManifests(given, options, named);
        for (const object of objects) {
          if (given.includes(object)) continue; // passed on
          const { kind, spec } = object;
          const { name } = object.metadata;
          const problems = kind === 'TrainedModel' ? trainedModelProblems : inferenceServiceProblems;
          expect(problems(name, spec)).toEqual([]);
        }
        for (const object of given.filter((each) => !objects.includes(each))) {
          const { name } = object.metadata;
          const became = objects.some(({ metadata }) => metadata.name === name);
          const told = notes.filter((note) => note.object.endsWith(`/${name}`));
          // A Server lives on as a service, whose name may have to be another.
          if (!became && object.kind !== 'Server') expect(told).not.toEqual([]);
          const { other } = object.spec as { readonly other?: unknown };
          if (became && other !== undefined && other !== '') {
            expect(told.filter(({ field }) => field?.startsWith('spec.other'))).not.toEqual([]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
