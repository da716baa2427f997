import { afterEach, describe, expect, it } from 'vitest';
import { conditionsOf, resources, type Stored } from './cluster.ts';
import { names } from './testing/builders.ts';
import {
  apply,
  closeWorlds,
  conditionOf,
  edit,
  makeAvailable,
  model,
  modelSpec,
  modelsIn,
  readyOf,
  runAgent,
  start,
  startService,
  type World,
} from './testing/world.ts';

afterEach(closeWorlds);

function annotate({ api }: World, annotations: Readonly<Record<string, string>>) {
  const object = api.get(names.inferenceServices, 'default', 'shared');
  if (object === undefined) throw new Error('no service');
  api.update(names.inferenceServices, { ...object, metadata: { ...object.metadata, annotations } });
}

describe('the controller on the embedded API server', () => {
  it('brings a model from apply to Ready, with everything on the way', async () => {
    const world = await startService();
    const agent = runAgent(world, 'one');

    apply(world, 'TrainedModel', 'iris', modelSpec());
    await expect.poll(() => readyOf(world, 'iris')).toBe('True');

    expect(agent.assigned).toEqual(['iris']);
    expect(model(world, 'iris')).toMatchObject({
      metadata: {
        finalizers: ['trainedmodel.finalizer'],
        labels: { inferenceservice: 'shared', 'serving.kserve.io/trainedmodel-allocated': 'shared' },
        ownerReferences: [{ kind: 'InferenceService', name: 'shared', blockOwnerDeletion: true }],
      },
      status: {
        url: 'http://shared-default.example.com/v1/models/iris:predict',
        copies: { summary: '1/1' },
        observedGeneration: 1,
      },
    });
    await expect
      .poll(() => world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0'))
      .toMatchObject({
        data: {
          'models.json':
            '[{"modelName":"iris","modelSpec":{"storageUri":"s3://bucket/iris","framework":"onnx","memory":"1Mi"}}]',
        },
      });
    expect(world.events).toContain('TrainedModel/iris Ready');
  });

  it('unloads a deleted model everywhere, and then lets it go', async () => {
    const world = await startService();
    const agent = runAgent(world, 'one');
    apply(world, 'TrainedModel', 'iris', modelSpec());
    await expect.poll(() => readyOf(world, 'iris')).toBe('True');

    world.api.delete(names.trainedModels, 'default', 'iris');
    await expect.poll(() => model(world, 'iris')).toBeUndefined();

    expect(agent.assigned).toEqual([]);
    await expect
      .poll(() => world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0'))
      .toMatchObject({ data: { 'models.json': '[]' } });
  });

  it('lets a model wait for its service, and adopts it', async () => {
    const world = await start();
    apply(world, 'TrainedModel', 'early', modelSpec());
    await expect.poll(() => readyOf(world, 'early')).toBe('False InferenceServiceNotFound');
    expect(world.events).toContain('TrainedModel/early InferenceServiceNotFound');

    apply(world, 'InferenceService', 'shared', { predictor: { model: { modelFormat: { name: 'onnx' } } } });
    await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeDefined();
    makeAvailable(world);
    runAgent(world, 'one');

    await expect.poll(() => readyOf(world, 'early')).toBe('True');
    expect(model(world, 'early')?.metadata.ownerReferences).toHaveLength(1);
  });

  it('says why a model cannot be loaded, while the others answer', async () => {
    const world = await startService();
    runAgent(world, 'one', 'fails');
    apply(world, 'TrainedModel', 'lost', modelSpec());
    apply(world, 'TrainedModel', 'strange', modelSpec({ framework: 'abacus' }));
    apply(world, 'TrainedModel', 'huge', modelSpec({ memory: '1Ti' }));

    await expect.poll(() => readyOf(world, 'lost')).toBe('False DownloadFailed');
    await expect.poll(() => readyOf(world, 'strange')).toBe('False FrameworkNotSupported');
    await expect.poll(() => readyOf(world, 'huge')).toBe('False MemoryResourceNotAvailable');
    expect(model(world, 'lost')?.status).toMatchObject({
      lastFailure: { reason: 'NotFound', pod: 'shared-predictor-one' },
    });
  });

  it('deletes the models of a service with it', async () => {
    const world = await startService();
    runAgent(world, 'one');
    apply(world, 'TrainedModel', 'iris', modelSpec());
    await expect.poll(() => readyOf(world, 'iris')).toBe('True');
    await expect.poll(() => model(world, 'iris')?.metadata.ownerReferences).toHaveLength(1);

    world.api.delete(names.inferenceServices, 'default', 'shared');

    await expect.poll(() => model(world, 'iris')).toBeUndefined();
    await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeUndefined();
  });

  it('repairs a ConfigMap and a Deployment that somebody changed', async () => {
    const world = await startService();
    runAgent(world, 'one');
    apply(world, 'TrainedModel', 'iris', modelSpec());
    const config = () => world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0');
    const text = () => (config()?.data as { 'models.json': string } | undefined)?.['models.json'];
    await expect.poll(text).toContain('iris');

    const stored = config();
    if (stored !== undefined) world.api.update(resources.configMaps, { ...stored, data: { 'models.json': '{' } });
    world.api.delete(resources.deployments, 'default', 'shared-predictor');

    await expect.poll(text).toContain('iris');
    await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeDefined();
  });

  it('serves a service with a model of its own, named after it', async () => {
    const world = await start();
    const predictor = { model: { modelFormat: { name: 'onnx' }, storageUri: 's3://bucket/own' } };
    apply(world, 'InferenceService', 'shared', { predictor });
    await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeDefined();
    makeAvailable(world);
    const ready = () => {
      const object = world.api.get(names.inferenceServices, 'default', 'shared') as Stored | undefined;
      const { status, reason } = (object && conditionsOf(object).find(({ type }) => type === 'Ready')) ?? {};
      return `${status} ${reason}`;
    };
    await expect.poll(ready).toBe('Unknown ModelNotLoaded');
    apply(world, 'TrainedModel', 'shared', modelSpec());

    const agent = runAgent(world, 'one');
    await expect.poll(ready).toBe('True undefined');
    await expect.poll(() => readyOf(world, 'shared')).toBe('False IsNotMMSPredictor');

    expect(agent.assigned).toEqual(['shared']);
    expect(world.engine.fleet.services.get('default/shared')?.models.get('shared')?.own).toBe(true);
    world.api.delete(names.trainedModels, 'default', 'shared');
    await expect.poll(() => model(world, 'shared')).toBeUndefined();
    expect(agent.assigned).toEqual(['shared']);
    expect(world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0')).toMatchObject({
      data: {
        'models.json': expect.stringContaining('"modelName":"shared","modelSpec":{"storageUri":"s3://bucket/own"'),
      },
    });
  });

  it('says why a model of its own does not load', async () => {
    const world = await start();
    const predictor = { onnx: { storageUri: 's3://bucket/lost' } };
    apply(world, 'InferenceService', 'shared', { predictor });
    await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeDefined();
    makeAvailable(world);
    runAgent(world, 'one', 'fails');
    const status = () => (world.api.get(names.inferenceServices, 'default', 'shared') as Stored | undefined)?.status;

    await expect.poll(status).toMatchObject({
      conditions: expect.arrayContaining([expect.objectContaining({ type: 'Ready', reason: 'ModelLoadFailed' })]),
      modelStatus: {
        transitionStatus: 'BlockedByFailedLoad',
        states: { targetModelState: 'FailedToLoad' },
        lastFailureInfo: { reason: 'ModelLoadFailed', message: expect.stringContaining('no such bucket') },
      },
    });
    expect(world.events).toContain('InferenceService/shared ModelLoadFailed');
  });

  it('takes everything away while a service is stopped, and brings it back', async () => {
    const world = await start();
    const spec = { predictor: { onnx: {}, minReplicas: 2, maxReplicas: 4 } };
    apply(world, 'InferenceService', 'shared', spec);
    const kinds = [resources.deployments, resources.services, resources.autoscalers, resources.budgets];
    const there = () => kinds.filter((kind) => world.api.get(kind, 'default', 'shared-predictor') !== undefined);
    await expect.poll(there).toEqual(kinds);
    apply(world, 'TrainedModel', 'iris', modelSpec());
    await expect.poll(() => modelsIn(world, 0)).toEqual(['iris']);

    annotate(world, { 'serving.kserve.io/stop': 'true' });
    await expect.poll(there).toEqual([]);
    const stopped = () => conditionOf(world.api.get(names.inferenceServices, 'default', 'shared') as Stored, 'Stopped');
    await expect.poll(stopped).toMatchObject({ status: 'True', reason: 'StopRequested' });
    expect(modelsIn(world, 0)).toEqual(['iris']);

    annotate(world, { 'serving.kserve.io/stop': 'false' });
    await expect.poll(there).toEqual(kinds);
    await expect.poll(stopped).toBeUndefined();
  });

  it('takes an autoscaler away that nobody asks for any more, and sets replicas itself again', async () => {
    const world = await start();
    apply(world, 'InferenceService', 'shared', { predictor: { onnx: {}, minReplicas: 2, maxReplicas: 4 } });
    const replicas = () =>
      (world.api.get(resources.deployments, 'default', 'shared-predictor')?.spec as { replicas?: number })?.replicas;
    await expect.poll(() => world.api.get(resources.autoscalers, 'default', 'shared-predictor')).toBeDefined();
    expect(replicas()).toBe(2);
    const scaled = world.api.get(resources.deployments, 'default', 'shared-predictor');
    if (scaled === undefined) throw new Error('no Deployment');
    world.api.update(resources.deployments, { ...scaled, spec: { ...(scaled.spec as object), replicas: 4 } });
    await expect.poll(() => world.engine.fleet.services.get('default/shared')?.view?.replicas).toBe(4);

    edit(world, names.inferenceServices, 'shared', { predictor: { onnx: {}, minReplicas: 3 } });
    await expect.poll(() => world.api.get(resources.autoscalers, 'default', 'shared-predictor')).toBeUndefined();
    await expect.poll(replicas).toBe(3);
  });

  it('leads clients outside to the routers by one Ingress, as the settings ask', async () => {
    const world = await startService();
    const settings = { name: 'inferenceservice-config', namespace: 'roundhouse-system' };
    const create = (ingress: object) =>
      world.api.create(resources.configMaps, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: settings,
        data: { ingress: JSON.stringify(ingress) },
      });
    const ingress = () => world.api.get(resources.ingresses, 'roundhouse-system', 'roundhouse');
    create({ ingressDomain: 'ml.org', ingressClassName: 'nginx' });

    await expect
      .poll(() => ingress()?.spec)
      .toMatchObject({ ingressClassName: 'nginx', rules: [{ host: '*.ml.org' }] });
    await expect
      .poll(() => (world.api.get(names.inferenceServices, 'default', 'shared')?.status as { url?: string })?.url)
      .toBe('http://shared-default.ml.org');
    const stored = world.api.get(resources.configMaps, settings.namespace, settings.name);
    if (stored === undefined) throw new Error('no settings');
    const data = { ingress: JSON.stringify({ ingressDomain: 'ml.org', disableIngressCreation: true }) };
    world.api.update(resources.configMaps, { ...stored, data });
    await expect.poll(ingress).toBeUndefined();
  });

  it('gives a host to the older of two services that share it', async () => {
    const world = await start();
    const { api } = world;
    api.create(
      { group: '', resource: 'namespaces' },
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b-c' } },
    );
    api.create({ group: '', resource: 'namespaces' }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'c' } });
    const create = (namespace: string, name: string) =>
      api.create(names.inferenceServices, {
        apiVersion: 'serving.kserve.io/v1beta1',
        kind: 'InferenceService',
        metadata: { name, namespace },
        spec: { predictor: { onnx: {} } },
      });
    const ingress = (namespace: string, name: string) => {
      const object = api.get(names.inferenceServices, namespace, name) as Stored | undefined;
      return object && conditionsOf(object).find(({ type }) => type === 'IngressReady')?.reason;
    };
    create('b-c', 'a');
    await expect.poll(() => ingress('b-c', 'a')).toBe('PredictorNotReady');
    create('c', 'a-b');

    await expect.poll(() => ingress('c', 'a-b')).toBe('HostConflict');
    api.delete(names.inferenceServices, 'b-c', 'a');
    await expect.poll(() => ingress('c', 'a-b')).toBe('PredictorNotReady');
  });
});
