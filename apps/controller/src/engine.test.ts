import { afterEach, describe, expect, it } from 'vitest';
import { conditionsOf, resources, type Stored } from './cluster.ts';
import { names } from './testing/builders.ts';
import {
  apply,
  closeWorlds,
  makeAvailable,
  model,
  modelSpec,
  readyOf,
  runAgent,
  start,
  startService,
} from './testing/world.ts';

afterEach(closeWorlds);

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
