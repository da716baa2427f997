import { systemClock, systemRandom } from '@roundhouse/base';
import { attachAgent, createRouteBoard, serveControl, wire } from '@roundhouse/control-protocol';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { conditionsOf, resources, type Stored } from './cluster.ts';
import { createEngine, type Queue } from './engine.ts';
import { installation, names } from './testing/builders.ts';
import { clusterOn, openEmbedded, watchInto } from './testing/embedded.ts';
import { renewed } from './tls.ts';

const forever = new AbortController().signal;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A queue as simple as can be: one at a time per key, again soon after a failure. */
function plainQueue(handle: (key: string, signal: AbortSignal) => Promise<void>): Queue {
  const running = new Map<string, boolean>();
  const add = (key: string, afterMs = 0) => void setTimeout(() => void run(key), afterMs).unref();
  const run = async (key: string) => {
    if (running.has(key)) return void running.set(key, true);
    running.set(key, false);
    const failed = await handle(key, forever).then(
      () => false,
      () => true,
    );
    const again = running.get(key);
    running.delete(key);
    if (failed || again) add(key, failed ? 20 : 0);
  };
  return { add };
}

async function start() {
  const { api, close } = openEmbedded();
  closers.push(close);
  const events: string[] = [];
  const board = createRouteBoard({ clock: systemClock });
  const key = ({ metadata }: Stored) => `${metadata.namespace}/${metadata.name}`;
  const views = {
    services: watchInto(api, names.inferenceServices, (object) => engine.onService(key(object))),
    models: watchInto(api, names.trainedModels, (object) => engine.onModel(key(object))),
    runtimes: watchInto(api, names.servingRuntimes, () => engine.onRuntime()),
    clusterRuntimes: watchInto(api, names.clusterServingRuntimes, () => engine.onRuntime()),
    deployments: watchInto(api, resources.deployments, (object) => engine.onChild(object)),
    childServices: watchInto(api, resources.services, (object) => engine.onChild(object)),
    autoscalers: watchInto(api, resources.autoscalers, (object) => engine.onChild(object)),
    budgets: watchInto(api, resources.budgets, (object) => engine.onChild(object)),
    settings: watchInto(api, resources.configMaps, (object) => engine.onSettings(object)),
    modelConfigs: watchInto(api, resources.configMaps, (object) => engine.onModelConfig(object)),
  };
  watchInto(api, resources.pods, (object, gone) => engine.onPod(object, gone));
  const engine = createEngine({
    names,
    clock: systemClock,
    log: silentLog,
    cluster: clusterOn(api),
    views,
    board: { publish: board.publish, settled: async (timeoutMs) => void (await board.settled(timeoutMs, forever)) },
    record: (regarding, { reason }) => void events.push(`${regarding.kind}/${regarding.metadata.name} ${reason}`),
    domain: 'example.com',
    fileRoots: [],
    installation,
    queue: (_, handle) => plainQueue(handle),
    onNamespace: () => {},
  });
  engine.start();
  const certificates = await renewed(undefined, ['control'], systemClock);
  const server = await serveControl(
    { clock: systemClock, log: silentLog },
    {
      listen: { host: '127.0.0.1', port: 0 },
      tls: () => ({ cert: certificates.certificate, key: certificates.key }),
      epoch: 1,
      version: '0.1.0',
      authenticateAgent: async () => {},
      authenticateRouter: async () => {},
      onAgent: (session) => engine.onAgent(session),
      onRouter: (session) => board.attach(session),
    },
  );
  closers.push(() => server.close());
  return { api, engine, events, port: server.port, ca: certificates.caCertificate };
}

type World = Awaited<ReturnType<typeof start>>;

/** An agent that loads whatever it is assigned, at once. */
function runAgent({ port, ca }: World, podUid: string, outcome: 'loads' | 'fails' = 'loads') {
  const stop = new AbortController();
  const assigned: string[] = [];
  const agent = attachAgent(
    { clock: systemClock, random: systemRandom, log: silentLog },
    {
      connection: {
        address: `127.0.0.1:${port}`,
        serverName: 'control',
        ca: async () => ca,
        token: async () => 'token',
      },
      hello: () => ({
        version: '0.1.0',
        instance: podUid,
        namespace: 'default',
        service: 'shared',
        podName: `shared-predictor-${podUid}`,
        podUid,
        dataAddress: '127.0.0.1:1',
      }),
      onAssignment({ models, changed, removed }) {
        assigned.splice(0, assigned.length, ...models.keys());
        const { LOADED, DOWNLOAD_FAILED } = wire.ModelState;
        const reports = changed.map((name) => {
          const digest = models.get(name)?.digest ?? '';
          if (outcome === 'loads') return { name, state: LOADED, digest, servingDigest: digest };
          const failure = {
            class: wire.FailureClass.NOT_FOUND,
            reason: 'NotFound',
            message: 'no such bucket',
            attempt: 1,
          };
          return { name, state: DOWNLOAD_FAILED, digest, failure: { ...failure, timeMs: 1n, nextRetryMs: 2n } };
        });
        agent.report(reports, removed);
      },
    },
  );
  agent.serverReady(true);
  const done = agent.run(stop.signal);
  closers.push(() => {
    stop.abort();
    return done.catch(() => {});
  });
  return { assigned, stop: () => stop.abort() };
}

const apply = ({ api }: World, kind: 'InferenceService' | 'TrainedModel', name: string, spec: object) =>
  kind === 'InferenceService'
    ? api.create(names.inferenceServices, {
        apiVersion: 'serving.kserve.io/v1beta1',
        kind,
        metadata: { name, namespace: 'default' },
        spec,
      })
    : api.create(names.trainedModels, {
        apiVersion: 'serving.kserve.io/v1alpha1',
        kind,
        metadata: { name, namespace: 'default' },
        spec,
      });

const modelSpec = (change: object = {}) => ({
  inferenceService: 'shared',
  model: { storageUri: 's3://bucket/iris', framework: 'onnx', memory: '1Mi', ...change },
});

const model = ({ api }: World, name: string) => api.get(names.trainedModels, 'default', name) as Stored | undefined;

function readyOf(world: World, name: string) {
  const object = model(world, name);
  const { status, reason } = (object && conditionsOf(object).find(({ type }) => type === 'Ready')) ?? {};
  return reason === undefined ? status : `${status} ${reason}`;
}

/** Plays the Deployment controller: the pods are available. */
function makeAvailable({ api }: World) {
  const deployment = api.get(resources.deployments, 'default', 'shared-predictor');
  if (deployment === undefined) throw new Error('no Deployment');
  const conditions = [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: '' }];
  api.update(
    resources.deployments,
    { ...deployment, status: { availableReplicas: 1, replicas: 1, conditions } },
    'status',
  );
}

async function startService() {
  const world = await start();
  apply(world, 'InferenceService', 'shared', { predictor: { model: { modelFormat: { name: 'onnx' } } } });
  await expect.poll(() => world.api.get(resources.deployments, 'default', 'shared-predictor')).toBeDefined();
  makeAvailable(world);
  return world;
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
