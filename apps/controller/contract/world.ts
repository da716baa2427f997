import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { attachAgent, openRoutes, wire } from '@roundhouse/control-protocol';
import {
  type ApiGroup,
  apiGroups,
  builtInRuntime,
  customResourceDefinitions,
  kserveGroup,
  namesFor,
  type ResourceName,
} from '@roundhouse/crds';
import { isKubeError, type Kube, type KubeObject, openKube, type Resource } from '@roundhouse/kube';
import { createApi, kubeconfigFor, openStore, serveApi } from '@roundhouse/local-cluster';
import { type Log, silentLog } from '@roundhouse/telemetry';
import { vi } from 'vitest';
import { resources } from '../src/cluster.ts';
import { parseConfig } from '../src/config.ts';
import { runController } from '../src/wiring.ts';

/** Names a real API server, with a controller manager and without nodes; otherwise the embedded one is asked. */
export const real = process.env.CONTRACT_KUBECONFIG;

const deps = { clock: systemClock, random: systemRandom, log: silentLog };
const forever = new AbortController().signal;
export const definitions: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
};
const namespaces: Resource = { group: '', version: 'v1', resource: 'namespaces' };

export type World = Awaited<ReturnType<typeof openWorld>>;

/** An API server with the kinds of both groups, a namespace for services and one for the system. */
export async function openWorld(group: ApiGroup = kserveGroup) {
  const closers: (() => unknown)[] = [];
  const directory = await mkdtemp(join(tmpdir(), 'control-contract-'));
  closers.push(() => rm(directory, { recursive: true }));
  const kubeconfig = real ?? (await startEmbedded(directory, closers));
  const kube = await openKube({ kubeconfigPath: kubeconfig });
  closers.push(() => kube.close());
  const unique = Math.random().toString(36).slice(2, 8);
  const [namespace, system] = [`apps-${unique}`, `system-${unique}`];
  for (const name of [namespace, system]) {
    // Somebody's cluster, with the strictest rules there are.
    const metadata = { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } };
    await kube.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata }, forever);
    closers.push(() => kube.delete(namespaces, { name }, forever));
  }
  for (const each of apiGroups) await install(kube, each);
  if (real !== undefined) await limit(kube, namespace);
  for (const [where, name] of [
    [system, 'roundhouse-router'],
    [namespace, 'default'],
  ] as const) {
    await ensure(kube, resources.serviceAccounts, { kind: 'ServiceAccount', name, namespace: where });
  }
  return {
    names: namesFor(group),
    kube,
    kubeconfig,
    directory,
    namespace,
    system,
    closers,
    async close() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

async function startEmbedded(directory: string, closers: (() => unknown)[]): Promise<string> {
  const api = createApi({ ...deps, store: openStore({ file: ':memory:' }) });
  const served = await serveApi({ api, clock: systemClock, adminToken: 'admin', port: 0 });
  closers.push(async () => {
    await served.close();
    api.close();
  });
  const path = join(directory, 'kubeconfig');
  await writeFile(path, kubeconfigFor({ ...served, token: 'admin' }));
  return path;
}

const quotas: Resource = { group: '', version: 'v1', resource: 'resourcequotas' };

/** A quota: from now on a pod whose containers do not all say what they take is refused. */
async function limit(kube: Kube, namespace: string): Promise<void> {
  const hard = { 'requests.cpu': '100', 'requests.memory': '1Ti', 'limits.cpu': '100', 'limits.memory': '1Ti' };
  const metadata = { name: 'quota', namespace };
  await kube.create(quotas, { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard } }, forever);
  await until(async () => Object.keys((await kube.get(quotas, namespace, 'quota', forever))?.status ?? {}).length > 0);
}

async function install(kube: Kube, group: ApiGroup): Promise<void> {
  const names = namesFor(group);
  const established = (object: KubeObject | undefined) =>
    JSON.stringify(object?.status ?? {}).includes('"type":"Established"');
  for (const definition of customResourceDefinitions(names)) {
    await kube.create(definitions, definition, forever).catch(unlessThere);
    await until(async () => established(await kube.get(definitions, undefined, definition.metadata.name, forever)));
  }
  await until(() => kube.create(names.clusterServingRuntimes, builtInRuntime(group), forever).catch(unlessThere));
}

function unlessThere(error: unknown) {
  if (!isKubeError(error, 'kube/already-exists')) throw error;
  return true;
}

/** Resolves with the first answer that is something, within half a minute. */
async function until<T>(look: () => Promise<T>): Promise<NonNullable<T>> {
  return await vi.waitFor(
    async () => {
      const found = await look();
      if (!found) throw new Error('not yet');
      return found;
    },
    { timeout: 30_000 },
  );
}

type Identity = { readonly kind: string; readonly name: string; readonly namespace: string };

async function ensure(kube: Kube, resource: ResourceName, { kind, name, namespace }: Identity): Promise<void> {
  await kube.create(resource, { apiVersion: 'v1', kind, metadata: { name, namespace } }, forever).catch(unlessThere);
}

export type Line = { readonly message: string; readonly [field: string]: unknown };

/** A controller; resolves once it leads, with the port of its control stream. Its log is kept. */
export async function startController(world: World, kubeconfig = world.kubeconfig) {
  const lines: Line[] = [];
  const leading = Promise.withResolvers<{ port: number; epoch: number }>();
  const keep = (fields: object, message: string) => void lines.push({ ...fields, message });
  const log: Log = {
    ...silentLog,
    warn: keep,
    error: keep,
    info(fields, message) {
      keep(fields, message);
      if (message === 'leading') leading.resolve({ port: Number(fields.port), epoch: Number(fields.epoch) });
    },
  };
  const flags = ['control', 'health', 'metrics', 'api'].map((name) => `--${name}-port=0`);
  const identity = Math.random().toString(36).slice(2);
  const { config } = parseConfig({ KUBECONFIG: kubeconfig, POD_UID: identity, POD_NAMESPACE: world.system }, [
    '--host=127.0.0.1',
    `--namespaces=${world.namespace}`,
    `--api-group=${world.names.group}`,
    ...flags,
  ]);
  if (config === undefined) throw new Error('the flags are wrong');
  const stop = new AbortController();
  const ended = runController({ ...deps, log }, config, stop.signal);
  ended.catch(leading.reject);
  const end = async () => {
    stop.abort();
    return await ended;
  };
  world.closers.push(() => end().catch(() => {}));
  return { leading: leading.promise, lines, end };
}

export async function applyService({ names, kube, namespace }: World, name: string, predictor: object = { onnx: {} }) {
  const metadata = { name, namespace };
  const object = { apiVersion: `${names.group}/v1beta1`, kind: 'InferenceService', metadata, spec: { predictor } };
  return await kube.create(names.inferenceServices, object, forever);
}

export async function applyModel(
  { names, kube, namespace }: World,
  name: string,
  inferenceService: string,
  storageUri = `s3://bucket/${name}`,
) {
  const model = { storageUri, framework: 'onnx', memory: '1Mi' };
  const metadata = { name, namespace };
  const object = { apiVersion: `${names.group}/v1alpha1`, kind: 'TrainedModel', metadata };
  return await kube.create(names.trainedModels, { ...object, spec: { inferenceService, model } }, forever);
}

/** A condition of an object, once there is one. */
export async function conditionOf({ kube, namespace }: World, resource: ResourceName, name: string, type: string) {
  const object = await kube.get(resource, namespace, name, forever);
  const { conditions = [] } = (object?.status ?? {}) as {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
  return conditions.find((each) => each.type === type);
}

/** The pod of a service's Deployment; where nobody makes one it is made as the Deployment controller would. */
export async function podOf(world: World, service: string): Promise<KubeObject> {
  const { names, kube, namespace } = world;
  const deployment = await until(() => kube.get(resources.deployments, namespace, names.predictor(service), forever));
  if (real === undefined) return await playDeploymentController(world, deployment);
  const labelSelector = `${names.labels.service}=${service}`;
  const pod = await until(
    async () => (await kube.list(resources.pods, { namespace, labelSelector }, forever)).items[0],
  );
  return { ...pod, apiVersion: 'v1', kind: 'Pod' };
}

async function playDeploymentController({ kube, namespace }: World, deployment: KubeObject): Promise<KubeObject> {
  const { selector, template } = deployment.spec as {
    readonly selector: object;
    readonly template: { readonly metadata: { readonly labels: object }; readonly spec: object };
  };
  const { labels } = template.metadata;
  const set = await kube.create(
    resources.replicaSets,
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: `${deployment.metadata.name}-1`, namespace, labels, ownerReferences: [ownedBy(deployment)] },
      spec: { selector, template },
    },
    forever,
  );
  const metadata = { name: `${set.metadata.name}-a`, namespace, labels, ownerReferences: [ownedBy(set)] };
  return await kube.create(resources.pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec: template.spec }, forever);
}

export function ownedBy({ apiVersion, kind, metadata: { name, uid } }: KubeObject) {
  return { apiVersion, kind, name, uid, controller: true };
}

/** Plays the kubelet: the pod has been Ready for a while. Where nobody draws the conclusion for the Deployment, that too. */
export async function makeReady(
  { names, kube, namespace }: World,
  service: string,
  { metadata: { name } }: KubeObject,
) {
  const lastTransitionTime = new Date(Date.now() - 60_000).toISOString().replace(/\.\d+Z/, 'Z');
  const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status: 'True', lastTransitionTime }));
  const patch = (resource: Resource, target: string, status: object) =>
    kube.patch(resource, { namespace, name: target, status: true }, { status }, forever);
  await patch(resources.pods, name, { phase: 'Running', conditions });
  if (real !== undefined) return;
  const available = [{ type: 'Available', status: 'True' }];
  await patch(resources.deployments, names.predictor(service), { availableReplicas: 1, conditions: available });
}

/** A token as the kubelet projects it; for the audience '' one of the API server. */
export async function tokenFor(
  { kube }: World,
  account: { readonly namespace: string; readonly name: string },
  pod?: KubeObject,
  audience = 'roundhouse-control',
): Promise<string> {
  const resource: Resource = { group: '', version: 'v1', resource: `serviceaccounts/${account.name}/token` };
  const boundObjectRef = pod && { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: pod.metadata.uid };
  const { status } = await kube.create(
    resource,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { namespace: account.namespace },
      spec: {
        ...(audience !== '' && { audiences: [audience] }),
        expirationSeconds: 3600,
        ...(boundObjectRef && { boundObjectRef }),
      },
    },
    forever,
  );
  return (status as { readonly token: string }).token;
}

/** What peers in a namespace trust. */
export async function trustedIn({ kube }: World, namespace: string): Promise<string> {
  const stored = await kube.get(resources.configMaps, namespace, 'roundhouse-ca', forever);
  return (stored?.data as { readonly 'ca.crt'?: string } | undefined)?.['ca.crt'] ?? '';
}

export type Peer = {
  readonly port: number | (() => number);
  readonly token: () => Promise<string>;
  readonly ca?: () => Promise<string>;
};

function connectionFor(world: World, { port, token, ca }: Peer) {
  const at = typeof port === 'number' ? () => port : port;
  return {
    get address() {
      return `127.0.0.1:${at()}`;
    },
    serverName: `roundhouse-control.${world.system}.svc`,
    ca: ca ?? (() => trustedIn(world, world.namespace)),
    token,
  };
}

/** What a peer logs tells why it has no stream. */
function keepReasons() {
  const reasons: string[] = [];
  const log = { info() {}, warn: ({ reason }: { readonly reason?: unknown }) => void reasons.push(String(reason)) };
  return { reasons, log: { ...silentLog, ...log } };
}

/** An agent that says that it loads what it is told. */
export function runAgent(world: World, service: string, pod: KubeObject, peer: Peer) {
  const stop = new AbortController();
  const { reasons, log } = keepReasons();
  const assigned = new Set<string>();
  const agent = attachAgent(
    { ...deps, log },
    {
      connection: connectionFor(world, peer),
      hello: () => ({
        version: '0.1.0',
        instance: 'one',
        namespace: world.namespace,
        service,
        podName: pod.metadata.name,
        podUid: pod.metadata.uid ?? '',
        dataAddress: '127.0.0.1:1',
      }),
      traffic: () => [],
      onAssignment({ models, changed, removed }) {
        for (const name of changed) assigned.add(name);
        for (const name of removed) assigned.delete(name);
        const loaded = changed.map((name) => {
          const digest = models.get(name)?.digest ?? '';
          return { name, state: wire.ModelState.LOADED, digest, servingDigest: digest };
        });
        agent.report(loaded, removed);
      },
    },
  );
  agent.serverReady(true);
  const done = agent.run(stop.signal).catch(() => {});
  const end = () => {
    stop.abort();
    return done;
  };
  world.closers.push(end);
  return { agent, assigned, reasons, end };
}

/** A router that keeps what it is told. */
export function runRouter(world: World, peer: Peer) {
  const stop = new AbortController();
  const { reasons, log } = keepReasons();
  const models = new Set<string>();
  const routes = openRoutes(
    { ...deps, log },
    {
      connection: connectionFor(world, peer),
      hello: () => ({ version: '0.1.0', instance: 'router' }),
      apply({ routes: { models: told } }) {
        for (const { name } of told) models.add(name);
      },
    },
  );
  const done = routes.run(stop.signal).catch(() => {});
  world.closers.push(() => {
    stop.abort();
    return done;
  });
  return { models, reasons };
}

/** A kubeconfig of a ServiceAccount, for a controller that may do less. */
export async function kubeconfigOf(world: World, token: string): Promise<string> {
  const text = await readFile(world.kubeconfig, 'utf8');
  const path = join(world.directory, `limited-${Math.random().toString(36).slice(2)}`);
  const cluster = text.slice(text.indexOf('clusters:'), text.length);
  const server = /server: *(\S+)/.exec(cluster)?.[1];
  const ca = /certificate-authority-data: *(\S+)/.exec(cluster)?.[1];
  const file = /certificate-authority: *(\S+)/.exec(cluster)?.[1];
  const authority = ca === undefined ? `certificate-authority: ${file}` : `certificate-authority-data: ${ca}`;
  const lines = [
    'apiVersion: v1',
    'kind: Config',
    'current-context: limited',
    `clusters: [{name: limited, cluster: {server: "${server}", ${authority}}}]`,
    'contexts: [{name: limited, context: {cluster: limited, user: limited}}]',
    `users: [{name: limited, user: {token: "${token}"}}]`,
  ];
  await writeFile(path, lines.join('\n'));
  return path;
}
