import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeModels, resolvePredictor, trainedModelProblems } from '@roundhouse/crds';
import { afterEach, describe, expect, it } from 'vitest';
import { resources, type Stored } from './cluster.ts';
import { exposureFor } from './exposure/plan.ts';
import { addressesFor } from './inference-service/addresses.ts';
import { autoscalingFor, hpaSpecFor } from './inference-service/autoscaling.ts';
import { planInferenceService } from './inference-service/plan.ts';
import { parseServiceConfig } from './inference-service/service-config.ts';
import { fillTemplate } from './inference-service/template.ts';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from './testing/builders.ts';
import {
  aMultiModelService,
  apply,
  closeWorlds,
  conditionOf,
  deploymentOf,
  edit,
  makeAvailable,
  model,
  modelSpec,
  modelsIn,
  readyOf,
  runAgent,
  start,
  startService,
} from './testing/world.ts';

/**
 * Bugs and gaps of KServe's control plane for shared services, by the numbers of our list of them (as of its source of August
 * 2026), each with a test that shows that we do not have it.
 */
const bugs: Readonly<Record<string, readonly [string, () => void | Promise<void>]>> = {
  B1: [
    'a model that is being deleted while its service vanishes keeps its finalizer for ever',
    async () => {
      const world = await startService();
      for (const name of ['a', 'b', 'c']) apply(world, 'TrainedModel', name, modelSpec());
      await expect.poll(() => model(world, 'c')?.metadata.finalizers).toHaveLength(1);
      world.api.delete(names.trainedModels, 'default', 'a');
      world.api.delete(names.inferenceServices, 'default', 'shared');

      await expect.poll(() => world.api.list(names.trainedModels).items).toEqual([]);
    },
  ],
  B2: [
    'a model that is being deleted when its ConfigMap is gone already keeps its finalizer for ever',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'iris', modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['iris']);
      world.api.delete(resources.configMaps, 'default', 'modelconfig-shared-0');
      world.api.delete(names.trainedModels, 'default', 'iris');

      await expect.poll(() => model(world, 'iris')).toBeUndefined();
    },
  ],
  B3: [
    'models whose deletion failed are orphaned when their service is deleted',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'iris', modelSpec());

      // The API server itself sees to it, and goes on until it is done.
      await expect.poll(() => model(world, 'iris')?.metadata.ownerReferences).toMatchObject([{ name: 'shared' }]);
    },
  ],
  B4: [
    'a model that is applied before its service is silently deleted',
    async () => {
      const world = await start();
      apply(world, 'TrainedModel', 'early', modelSpec());

      await expect.poll(() => readyOf(world, 'early')).toBe('False InferenceServiceNotFound');
      expect(world.events).toContain('TrainedModel/early InferenceServiceNotFound');
      await aMultiModelService(world);
      runAgent(world, 'one');
      await expect.poll(() => readyOf(world, 'early')).toBe('True');
    },
  ],
  B5: [
    'models learn only hours later that their service became unready, or got another limit',
    async () => {
      const world = await startService();
      runAgent(world, 'one');
      apply(world, 'TrainedModel', 'iris', modelSpec());
      apply(world, 'TrainedModel', 'large', modelSpec({ memory: '3Gi' }));
      await expect.poll(() => readyOf(world, 'iris')).toBe('True');
      await expect.poll(() => readyOf(world, 'large')).toBe('False MemoryResourceNotAvailable');

      const resources = { limits: { memory: '8Gi' } };
      edit(world, names.inferenceServices, 'shared', { predictor: { onnx: { resources } } });
      await expect.poll(() => readyOf(world, 'large')).toBe('True');
      makeAvailable(world, 0);
      await expect.poll(() => readyOf(world, 'iris')).toBe('False InferenceServiceNotReady');
      expect(world.events).toContain('TrainedModel/iris NotReady');
    },
  ],
  B6: [
    'a ConfigMap that somebody deleted or edited comes back empty',
    async () => {
      const world = await startService();
      for (const name of ['a', 'b']) apply(world, 'TrainedModel', name, modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'b']);

      world.api.delete(resources.configMaps, 'default', 'modelconfig-shared-0');
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'b']);
      const stored = world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0');
      if (stored !== undefined) world.api.update(resources.configMaps, { ...stored, data: { 'models.json': '[]' } });
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'b']);
    },
  ],
  B7: [
    'entries are in random order, so that the ConfigMap is written again without a change',
    async () => {
      const entry = (modelName: string) => ({
        modelName,
        modelSpec: { storageUri: 's3://b/m', framework: 'onnx', memory: '1Mi' },
      });
      expect(encodeModels(['b', 'a', 'c'].map(entry))).toBe(encodeModels(['c', 'b', 'a'].map(entry)));

      const world = await startService();
      for (const name of ['a', 'b']) apply(world, 'TrainedModel', name, modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'b']);
      const config = () => world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0')?.metadata;
      const before = config()?.resourceVersion;
      runAgent(world, 'one');
      await expect.poll(() => readyOf(world, 'b')).toBe('True'); // statuses were written meanwhile

      expect(config()?.resourceVersion).toBe(before);
    },
  ],
  B8: [
    'one ConfigMap of at most 1 MiB holds all models, and nobody says so when it is full',
    async () => {
      const world = await startService();
      const storageUri = `s3://bucket/${'long/'.repeat(40_000)}`;
      for (let index = 0; index < 9; index++) apply(world, 'TrainedModel', `m${index}`, modelSpec({ storageUri }));

      await expect.poll(() => [0, 1, 2].map((shard) => modelsIn(world, shard)?.length)).toEqual([4, 4, 1]);
    },
  ],
  B9: [
    'a model that moves to another service stays in the ConfigMap and the accounts of the old one',
    async () => {
      const world = await startService();
      await aMultiModelService(world, 'other');
      apply(world, 'TrainedModel', 'iris', modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['iris']);
      edit(world, names.trainedModels, 'iris', { ...modelSpec(), inferenceService: 'other' });

      await expect.poll(() => modelsIn(world, 0, 'other')).toEqual(['iris']);
      await expect.poll(() => modelsIn(world, 0)).toEqual([]);
      await expect
        .poll(() => model(world, 'iris')?.metadata)
        .toMatchObject({
          labels: { [names.labels.parent]: 'other', [names.labels.allocated]: 'other' },
          ownerReferences: [{ name: 'other' }],
        });
      expect(world.engine.fleet.services.get('default/shared')?.heldBytes).toBe(0);
    },
  ],
  B10: [
    'two models that fit only one at a time are both admitted when they come together',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'a', modelSpec({ memory: '1Gi' }));
      apply(world, 'TrainedModel', 'b', modelSpec({ memory: '1Gi' }));

      await expect.poll(() => readyOf(world, 'b')).toBe('False MemoryResourceNotAvailable');
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a']);
    },
  ],
  B11: [
    'a service without a memory limit of its own admits no model, though its runtime has one',
    () => {
      const plan = planFor({ onnx: {} });

      expect(plan.kind === 'apply' && plan.resolution.capacityBytes).toBeGreaterThan(2 ** 30);
    },
  ],
  B12: [
    'a custom predictor without a container named kserve-container ends the controller',
    () => {
      const env = [{ name: 'MULTI_MODEL_SERVER', value: 'true' }];
      const plan = planFor({ containers: [{ name: 'own', image: 'own:1', env }] });

      expect(plan).toMatchObject({ kind: 'apply', resolution: { capacityBytes: expect.any(Number) } });
    },
  ],
  B13: [
    'negative and zero memory is accepted, and adds room',
    () => {
      for (const memory of ['-1Gi', '0', 0]) {
        expect(trainedModelProblems('iris', modelSpec({ memory }))).toEqual([expect.stringContaining('memory')]);
      }
    },
  ],
  B14: [
    'the memory of GPUs is not counted',
    async () => {
      const world = await start();
      const gpu = (memory: string) => ({ 'roundhouse.dev/gpu-memory': memory });
      await aMultiModelService(world, 'shared', gpu('16Gi'));
      apply(world, 'TrainedModel', 'a', modelSpec(), gpu('10Gi'));
      apply(world, 'TrainedModel', 'b', modelSpec(), gpu('10Gi'));
      apply(world, 'TrainedModel', 'c', modelSpec());

      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'c']);
      await expect
        .poll(() => conditionOf(model(world, 'b'), 'MemoryResourceAvailable')?.message)
        .toContain('10240Mi of GPU memory, 6144Mi of 16384Mi are free');
    },
  ],
  B15: [
    'Ready says that a model was written down, not that it answers',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'iris', modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['iris']);
      await expect.poll(() => readyOf(world, 'iris')).toBe('False NoReplica');

      runAgent(world, 'one');
      await expect.poll(() => readyOf(world, 'iris')).toBe('True');
      expect(model(world, 'iris')?.status).toMatchObject({
        url: expect.stringContaining('/iris'),
        copies: { summary: '1/1' },
        observedGeneration: 1,
      });
    },
  ],
  B16: [
    'the framework of a model is compared with nothing',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'strange', modelSpec({ framework: 'abacus' }));

      await expect
        .poll(() => conditionOf(model(world, 'strange'), 'FrameworkSupported')?.reason)
        .toBe('FrameworkNotSupported');
      expect(modelsIn(world, 0) ?? []).toEqual([]);
    },
  ],
  B17: [
    "URLs are those of V1 though the service's runtime speaks V2 only",
    async () => {
      const world = await start();
      const { spec } = aRuntime();
      world.api.create(names.servingRuntimes, {
        apiVersion: 'serving.kserve.io/v1alpha1',
        kind: 'ServingRuntime',
        metadata: { name: 'modern', namespace: 'default' },
        spec: { ...spec, protocolVersions: ['v2', 'grpc-v2'] },
      });
      const predictor = { model: { modelFormat: { name: 'onnx' }, runtime: 'modern' } };
      apply(world, 'InferenceService', 'shared', { predictor });
      apply(world, 'TrainedModel', 'iris', modelSpec());

      await expect
        .poll(() => (model(world, 'iris')?.status as { url?: string } | undefined)?.url)
        .toBe('http://shared-default.example.com/v2/models/iris/infer');
    },
  ],
  B18: [
    'servers that cannot load models while they run count as shared, and those with a sidecar do not',
    () => {
      const server = aRuntime({
        name: 'kserve-tensorflow-serving',
        annotations: { 'serving.kserve.io/server-type': 'tensorflow-serving' },
      });
      const formats = [{ name: 'tensorflow', autoSelect: true }];
      const runtime = { ...server, spec: { ...server.spec, multiModel: false, supportedModelFormats: formats } };
      const optedIn = { ...runtime, spec: { ...runtime.spec, multiModel: true } };

      expect(planFor({ tensorflow: {} }, [runtime])).toMatchObject({
        kind: 'blocked',
        trouble: { message: expect.stringMatching(/kserve-tensorflow-serving.*cannot load.*multiModel: true/) },
      });
      expect(planFor({ tensorflow: {} }, [optedIn]).kind).toBe('apply');
      const withSidecar = { model: { modelFormat: { name: 'onnx' } }, containers: [{ name: 'logs', image: 'i' }] };
      expect(resolvePredictor(withSidecar).multiModel).toBe(true);
    },
  ],
  B19: [
    'a service that is not shared any more leaves its ConfigMap behind, and its models as they were',
    async () => {
      const world = await startService();
      apply(world, 'TrainedModel', 'iris', modelSpec());
      await expect.poll(() => modelsIn(world, 0)).toEqual(['iris']);
      edit(world, names.inferenceServices, 'shared', { predictor: { huggingface: {} } });

      await expect.poll(() => modelsIn(world, 0)).toBeUndefined();
      await expect.poll(() => conditionOf(model(world, 'iris'), 'IsMMSPredictor')?.status).toBe('False');
    },
  ],
  B20: [
    'models stay loaded when the memory of their service shrinks below what they take',
    async () => {
      const world = await start();
      const limit = (memory: string) => ({ predictor: { onnx: { resources: { limits: { memory } } } } });
      apply(world, 'InferenceService', 'shared', limit('4Gi'));
      for (const name of ['a', 'b', 'c']) apply(world, 'TrainedModel', name, modelSpec({ memory: '1Gi' }));
      await expect.poll(() => modelsIn(world, 0)).toEqual(['a', 'b', 'c']);
      edit(world, names.inferenceServices, 'shared', limit('2Gi'));

      await expect.poll(() => modelsIn(world, 0)).toEqual(['a']);
      await expect.poll(() => readyOf(world, 'c')).toMatch(/False (Memory|InferenceService)/);
    },
  ],
  B21: [
    'no Event says that a model was admitted, refused, failed or became ready',
    async () => {
      const world = await startService();
      runAgent(world, 'one');
      apply(world, 'TrainedModel', 'iris', modelSpec());
      apply(world, 'TrainedModel', 'huge', modelSpec({ memory: '1Ti' }));
      await expect.poll(() => readyOf(world, 'iris')).toBe('True');

      await expect
        .poll(() => world.events)
        .toEqual(expect.arrayContaining(['TrainedModel/iris Ready', 'TrainedModel/huge MemoryResourceNotAvailable']));
      const resources = { limits: { memory: '4Ti' } };
      edit(world, names.inferenceServices, 'shared', { predictor: { onnx: { resources } } });
      await expect.poll(() => world.events).toContain('TrainedModel/huge Admitted');
    },
  ],
  B22: [
    "KServe's own sample, which names its container, is refused",
    () => {
      const sample = { minReplicas: 1, onnx: { name: 'sklearn-iris-example', protocolVersion: 'v1' } };

      expect(planFor(sample)).toMatchObject({ kind: 'apply', unsupported: [] });
    },
  ],
  B23: [
    'a target for memory above 100 % of the request is refused',
    () => {
      const predictor = { onnx: {}, maxReplicas: 4, scaleMetric: 'memory', scaleTarget: 150 };
      const spec = hpaSpecFor(predictor, autoscalingFor(names, predictor, {}), 'shared-predictor');

      expect(planFor(predictor).kind).toBe('apply');
      expect(spec).toMatchObject({
        metrics: [{ resource: { name: 'memory', target: { type: 'Utilization', averageUtilization: 150 } } }],
      });
    },
  ],
  B24: [
    'documents demand a setting that is gone',
    () => {
      const docs = join(import.meta.dirname, '../../../docs/spec');
      const texts = readdirSync(docs).map((file) => readFileSync(join(docs, file), 'utf8'));

      // It is accepted, and no sample sets it.
      expect(texts.filter((text) => /^\s*(- )?"?multiModelServer"?:/m.test(text))).toEqual([]);
    },
  ],
  B25: [
    'Prometheus is sent to a port where nothing listens',
    () => {
      const service = aServiceIdentity({ annotations: { 'serving.kserve.io/enable-prometheus-scraping': 'true' } });
      const template = (change: object) =>
        deploymentOf(planFor({ onnx: {} }, [aRuntime({ spec: { ...aRuntime().spec, ...change } })], { service })).spec
          .template;

      const at = (port: string) => ({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': port });
      expect(template({}).metadata.annotations).toMatchObject(at('8080'));
      const annotations = { 'prometheus.kserve.io/port': '8002' };
      expect(template({ annotations }).metadata.annotations).toMatchObject(at('8002'));
    },
  ],
  B26: [
    'paths are not cut, and a service that only the cluster is to see stays reachable from outside',
    async () => {
      const ingress = { enableGatewayApi: true, pathTemplate: '/serving/{{ .Namespace }}/{{ .Name }}' };
      const { config } = parseServiceConfig({ ingress: JSON.stringify(ingress) });
      const addresses = addressesFor({ names, service: aServiceIdentity() }, config, 'example.com');
      const source = { name: 'c', uid: 'u' };
      const route = exposureFor({ installation, config, source, domain: 'example.com', hosts: addresses.hosts });
      expect(addresses).toMatchObject({
        url: 'http://example.com/serving/default/shared',
        pathPrefixes: ['/serving/default/shared'], // the router cuts it
      });
      expect(route?.spec).toMatchObject({ rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] });

      const world = await startService();
      const view = () => world.engine.fleet.services.get('default/shared')?.view;
      expect(view()?.hosts).toHaveLength(2);
      edit(world, names.inferenceServices, 'shared', undefined, { 'networking.kserve.io/visibility': 'cluster-local' });
      await expect.poll(() => view()).toMatchObject({ hosts: [], pathPrefixes: [] });
      expect(view()?.url).toBe('http://shared-predictor.default.svc.cluster.local');
    },
  ],
  B27: [
    'values in templates are changed for HTML, and other braces break the pod',
    () => {
      const data = { fields: { Name: 'a<b>&"c' }, labels: {}, annotations: {} };

      expect(fillTemplate('{{.Name}} {{ .Labels.none }}{"x": {{"y": 1}}} {{.Spec}}', data)).toBe(
        'a<b>&"c {"x": {{"y": 1}}} {{.Spec}}',
      );
    },
  ],
  B28: [
    'a key of inferenceservice-config that is broken ends the controller',
    async () => {
      const world = await startService();
      const deployment = () => world.api.get(resources.deployments, 'default', 'shared-predictor')?.metadata;
      await expect.poll(() => conditionOf(service(world), 'Ready')?.status).toBe('True');
      const before = deployment()?.generation;
      const metadata = { name: 'inferenceservice-config', namespace: 'roundhouse-system' };
      const data = { agent: '{"memoryLimit": "plenty"}', batcher: '{', logger: 'no JSON', ingress: '{"urlScheme":' };
      world.api.create(resources.configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });

      await expect
        .poll(() => conditionOf(service(world), 'ConfigInvalid')?.message)
        .toMatch(/agent: memoryLimit is not a quantity; ingress: not JSON/);
      expect(world.events).toContain('ConfigMap/inferenceservice-config InvalidKey');
      expect(conditionOf(service(world), 'Ready')?.status).toBe('True');
      expect(deployment()?.generation).toBe(before);
    },
  ],
};

afterEach(closeWorlds);

describe('bugs of KServe', () => {
  it.each(Object.entries(bugs).map(([id, [sentence, shows]]) => [id, sentence, shows] as const))(
    '%s is not ours: %s',
    async (_, __, shows) => await shows(),
  );

  it('are all there', () => {
    expect(Object.keys(bugs)).toEqual(Array.from({ length: 28 }, (_, index) => `B${index + 1}`));
  });
});

function planFor(predictor: object, runtimes = [aRuntime()], change: object = {}) {
  return planInferenceService({
    names,
    service: aServiceIdentity(),
    spec: { predictor },
    runtimes,
    config: noConfig,
    storage: noStorage,
    fileRoots: [],
    installation,
    ...change,
  });
}

const service = ({ api }: Awaited<ReturnType<typeof start>>) =>
  api.get(names.inferenceServices, 'default', 'shared') as Stored | undefined;
