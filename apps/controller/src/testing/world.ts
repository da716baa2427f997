import { systemClock, systemRandom } from '@roundhouse/base';
import { attachAgent, createRouteBoard, serveControl, wire } from '@roundhouse/control-protocol';
import { parseModels, type ResourceName, type RuntimeContainer } from '@roundhouse/crds';
import type { Api } from '@roundhouse/local-cluster';
import { silentLog } from '@roundhouse/telemetry';
import { expect } from 'vitest';
import { conditionsOf, resources, type Stored } from '../cluster.ts';
import { createEngine, type Queue } from '../engine.ts';
import type { Plan } from '../inference-service/plan.ts';
import { renewed } from '../tls.ts';
import { installation, names } from './builders.ts';
import { clusterOn, openEmbedded, watchInto } from './embedded.ts';

const forever = new AbortController().signal;
const closers: (() => unknown)[] = [];

/** Ends everything that was started; to be called after each test. */
export async function closeWorlds(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

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

/** The engine on the embedded API server, or on one that is there already, with a control port. */
export async function start(existing?: Api) {
  const { api, close } = existing === undefined ? openEmbedded() : { api: existing, close: () => {} };
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

export type World = Awaited<ReturnType<typeof start>>;

/** An agent that loads whatever it is assigned, at once. */
export function runAgent({ port, ca }: World, podUid: string, outcome: 'loads' | 'fails' = 'loads') {
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
      traffic: () => [],
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

type Annotations = Readonly<Record<string, string>>;

export function apply(
  { api }: World,
  kind: 'InferenceService' | 'TrainedModel',
  name: string,
  spec: object,
  annotations: Annotations = {},
) {
  const resource = kind === 'InferenceService' ? names.inferenceServices : names.trainedModels;
  const apiVersion = `${resource.group}/${resource.version}`;
  return api.create(resource, { apiVersion, kind, metadata: { name, namespace: 'default', annotations }, spec });
}

/** Changes an object's spec, or its labels. */
export function edit({ api }: World, resource: ResourceName, name: string, spec?: object, labels?: Annotations) {
  const object = api.get(resource, 'default', name);
  if (object === undefined) throw new Error(`no ${name}`);
  const metadata = { ...object.metadata, labels: { ...object.metadata.labels, ...labels } };
  api.update(resource, { ...object, metadata, spec: spec ?? object.spec });
}

/** The names in one of a service's ConfigMaps; undefined when there is none. */
export function modelsIn({ api }: World, shard: number, service = 'shared') {
  const stored = api.get(resources.configMaps, 'default', `modelconfig-${service}-${shard}`);
  const data = stored?.data as { readonly 'models.json': string } | undefined;
  return data && parseModels(data['models.json']).map(({ modelName }) => modelName);
}

export const conditionOf = (object: Stored | undefined, kind: string) =>
  object && conditionsOf(object).find(({ type }) => type === kind);

type Deployment = {
  readonly spec: {
    readonly replicas?: number;
    readonly template: { readonly metadata: { readonly annotations: Annotations }; readonly spec: PodSpec };
  };
};
type PodSpec = {
  readonly containers: readonly RuntimeContainer[];
  readonly volumes: readonly object[];
  readonly [field: string]: unknown;
};

/** The Deployment that a plan is for. */
export function deploymentOf(plan: Plan): Deployment {
  const found = plan.kind === 'apply' ? plan.children.find(({ kind }) => kind === 'Deployment') : undefined;
  if (found === undefined) throw new Error('no Deployment');
  return found as unknown as Deployment;
}

export const modelSpec = (change: object = {}) => ({
  inferenceService: 'shared',
  model: { storageUri: 's3://bucket/iris', framework: 'onnx', memory: '1Mi', ...change },
});

export const model = ({ api }: World, name: string) =>
  api.get(names.trainedModels, 'default', name) as Stored | undefined;

/** Status and reason of a model's Ready. */
export function readyOf(world: World, name: string) {
  const object = model(world, name);
  const { status, reason } = (object && conditionsOf(object).find(({ type }) => type === 'Ready')) ?? {};
  return reason === undefined ? status : `${status} ${reason}`;
}

/** Plays the Deployment controller: so many pods are available. */
export function makeAvailable({ api }: World, availableReplicas = 1, service = 'shared') {
  const deployment = api.get(resources.deployments, 'default', `${service}-predictor`);
  if (deployment === undefined) throw new Error('no Deployment');
  const conditions = [{ type: 'Available', status: availableReplicas > 0 ? 'True' : 'False' }];
  const status = { availableReplicas, replicas: 1, conditions };
  api.update(resources.deployments, { ...deployment, status }, 'status');
}

/** A service that takes ONNX models, with a replica that is available. */
export async function aMultiModelService(world: World, name = 'shared', annotations: Annotations = {}) {
  const predictor = { model: { modelFormat: { name: 'onnx' } } };
  apply(world, 'InferenceService', name, { predictor }, annotations);
  await expect.poll(() => world.api.get(resources.deployments, 'default', `${name}-predictor`)).toBeDefined();
  makeAvailable(world, 1, name);
}

export async function startService() {
  const world = await start();
  await aMultiModelService(world);
  return world;
}
