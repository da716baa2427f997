import { type Clock, messageOf, type Random } from '@roundhouse/base';
import { createRouteBoard, type RouterSession, serveControl } from '@roundhouse/control-protocol';
import { type Names, namesFor, type ResourceName } from '@roundhouse/crds';
import {
  createEventRecorder,
  createInformer,
  createWorkQueue,
  type Informer,
  isKubeError,
  type Kube,
  type KubeObject,
} from '@roundhouse/kube';
import type { Log } from '@roundhouse/telemetry';
import type { Fleet } from './assignments/fleet.ts';
import { authenticateAgent, authenticateRouter, type Reviewed } from './authenticate.ts';
import { openCertificates } from './certificates.ts';
import { type Cluster, resources } from './cluster.ts';
import type { Config } from './config.ts';
import { createEngine, type Engine, type EngineDeps } from './engine.ts';
import type { Metrics } from './http/metrics.ts';

export type TermDeps = {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called when this controller has begun to lead, with what it knows. */
  readonly onFleet: (fleet: Fleet) => void;
};

export const version = '0.1.0';

/** Agents come back within a second or two; one that does not may take its time. Routers go on with what they know. */
const rediscoveryMs = 5_000;

const furtherMsMax = 2_000;

/** Certificates are looked at this often; they are renewed weeks before their end. */
const renewalMs = 60 * 60 * 1000;

/** One term as leader: watches, the control stream and the engine between them, until `signal` aborts. */
export async function lead(deps: TermDeps, config: Config, epoch: number, signal: AbortSignal): Promise<void> {
  const { kube, clock, log } = deps;
  const names = namesFor(config.apiGroup);
  const cluster: Cluster = kube;
  const certificates = await openCertificates({ cluster, clock, installation: config.installation }, signal);
  const authorities = queueFor(deps, signal)('authorities', (namespace, at) => certificates.publish(namespace, at));
  authorities.add(config.installation.namespace);
  const recorder = createEventRecorder({
    kube,
    clock,
    component: 'roundhouse-controller',
    instance: config.identity,
    onTrouble: (message) => log.warn({}, message),
  });
  const board = createRouteBoard({ clock });
  const { engine, watching } = await openEngine(deps, config, names, signal, {
    cluster,
    record: (regarding, event) => recorder.record(regarding, event),
    board: { publish: board.publish, settled: async (timeoutMs) => void (await board.settled(timeoutMs, signal)) },
    onNamespace: (namespace) => authorities.add(namespace),
  });
  const doors = {
    names,
    cluster,
    installation: config.installation,
    review: (token: string, audience: string, at: AbortSignal) => review(kube, token, audience, at),
    serviceUid: (namespace: string, service: string) => engine.serviceUid(`${namespace}/${service}`),
  };
  const rediscovered = engine.rediscovered(rediscoveryMs);
  const admitRouter = async (session: RouterSession) => {
    let isOpen = true;
    session.onClose(() => {
      isOpen = false;
    });
    await rediscovered;
    if (isOpen) board.attach(session);
  };
  const server = await serveControl(
    { clock, log },
    {
      listen: { host: config.host, port: config.controlPort },
      tls: certificates.current,
      epoch,
      version,
      authenticateAgent: (token, hello) => authenticateAgent(doors, token, hello, signal),
      authenticateRouter: (token) => authenticateRouter(doors, token, signal),
      onAgent: (session) => engine.onAgent(session),
      onRouter: (session) => void admitRouter(session),
    },
  );
  log.info({ epoch, port: server.port }, 'leading');
  deps.onFleet(engine.fleet);
  try {
    while (!signal.aborted) {
      await clock.sleep(renewalMs, signal).catch(() => {});
      if (signal.aborted) break;
      await certificates.renew(signal).catch((err) => log.warn({ err }, 'certificates not renewed'));
      for (const namespace of certificates.namespaces()) authorities.add(namespace);
    }
  } finally {
    await server.close();
    await watching;
    await recorder.flush();
  }
}

type EngineParts = Pick<EngineDeps, 'cluster' | 'record' | 'board' | 'onNamespace'>;

/** The engine with its watches: it starts once all of them have their first list. */
async function openEngine(
  deps: TermDeps,
  { domain, fileRoots, installation, namespaces }: Config,
  names: Names,
  signal: AbortSignal,
  parts: EngineParts,
) {
  const { kube, clock, random, log } = deps;
  const running: Promise<void>[] = [];
  let engine: (Engine & { serviceUid(key: string): string | undefined }) | undefined;
  const watch = (
    resource: ResourceName,
    tell: (engine: Engine, key: string, object: KubeObject, gone: boolean) => void,
    selection: { readonly labelSelector?: string; readonly namespace?: string } = {},
  ) => {
    const follow = (namespace: string | undefined) => {
      const informer = createInformer(
        { kube, clock, random, onTrouble: (message) => log.warn({}, message) },
        {
          resource,
          ...(namespace !== undefined && { namespace }),
          ...selection,
          strip,
          onChange(key, before, after) {
            const object = after ?? before;
            // Until the engine starts, changes are part of the first list, which it reads as a whole.
            if (engine !== undefined && object !== undefined) tell(engine, key, object, after === undefined);
          },
        },
      );
      running.push(informer.run(signal));
      return informer;
    };
    const isOfCluster = resource === names.clusterServingRuntimes;
    const isOne = namespaces.length === 0 || isOfCluster || selection.namespace !== undefined;
    return isOne ? follow(undefined) : joined(namespaces, follow);
  };
  const ours = { labelSelector: names.labels.service };
  const beside = { namespace: installation.namespace };
  const views = {
    services: watch(names.inferenceServices, (to, key) => to.onService(key)),
    models: watch(names.trainedModels, (to, key) => to.onModel(key)),
    runtimes: watch(names.servingRuntimes, (to) => to.onRuntime()),
    clusterRuntimes: watch(names.clusterServingRuntimes, (to) => to.onRuntime()),
    deployments: watch(resources.deployments, (to, _, object) => to.onChild(object), ours),
    childServices: watch(resources.services, (to, _, object) => to.onChild(object), ours),
    autoscalers: watch(resources.autoscalers, (to, _, object) => to.onChild(object), ours),
    budgets: watch(resources.budgets, (to, _, object) => to.onChild(object), ours),
    settings: watch(resources.configMaps, (to, _, object) => to.onSettings(object), beside),
    modelConfigs: watch(resources.configMaps, (to, _, object) => to.onModelConfig(object), ours),
  };
  const pods = watch(resources.pods, (to, _, object, gone) => to.onPod(object, gone), ours);
  const { autoscalers, budgets, ...needed } = views;
  await Promise.race([Promise.all([...Object.values(needed), pods].map(({ synced }) => synced)), aborted(signal)]);
  // Without these nearly everything works: nobody waits for them if they may not be seen.
  const further = Promise.all([autoscalers.synced, budgets.synced]);
  await Promise.race([further, clock.sleep(furtherMsMax, signal)]);
  const created = createEngine({
    ...parts,
    names,
    clock,
    log,
    views,
    domain,
    fileRoots,
    installation,
    queue: queueFor(deps, signal),
    rediscovers: true,
  });
  engine = { ...created, serviceUid: (key) => views.services.get(key)?.metadata.uid };
  engine.start();
  for (const pod of pods.list()) engine.onPod(pod, false);
  return { engine, watching: Promise.all(running) };
}

type Following = Pick<Informer, 'get' | 'list' | 'synced'>;

/** The informers of several namespaces as one. */
function joined(namespaces: readonly string[], follow: (namespace: string) => Following): Following {
  const byNamespace = new Map(namespaces.map((namespace) => [namespace, follow(namespace)]));
  const all = [...byNamespace.values()];
  return {
    get: (key) => byNamespace.get(key.slice(0, key.indexOf('/')))?.get(key),
    list: () => all.flatMap((informer) => [...informer.list()]),
    synced: Promise.all(all.map(({ synced }) => synced)).then(() => {}),
  };
}

/** What nobody here reads is most of an object's size. */
function strip({ metadata, ...rest }: KubeObject): KubeObject {
  const { managedFields: _, ...kept } = metadata as KubeObject['metadata'] & { readonly managedFields?: unknown };
  return { ...rest, metadata: kept } as KubeObject;
}

function queueFor({ clock, random, log, metrics }: TermDeps, signal: AbortSignal): EngineDeps['queue'] {
  return (name, handle) => {
    const measured = async (key: string, at: AbortSignal) => {
      const began = clock.monotonic();
      let outcome: 'done' | 'failed' = 'failed';
      try {
        await handle(key, at);
        outcome = 'done';
      } finally {
        metrics.reconciled(name, outcome, clock.monotonic() - began);
      }
    };
    const onFailure = (key: string, error: unknown, attempt: number, retryMs: number) => {
      const fields = { queue: name, key, attempt, retryMs, reason: messageOf(error) };
      // A conflict says only that we looked too early: the watch brings what is there now.
      if (isKubeError(error, 'kube/conflict')) log.debug(fields, 'to be tried again');
      else log.warn(fields, 'to be tried again');
    };
    return createWorkQueue({ clock, random, onFailure }, measured, signal);
  };
}

const tokenReviews = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' };

type ReviewStatus = {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly user?: { readonly username?: string; readonly extra?: Readonly<Record<string, readonly string[]>> };
};

async function review(kube: Kube, token: string, audience: string, signal: AbortSignal): Promise<Reviewed> {
  const { status } = await kube.create(
    tokenReviews,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } },
    signal,
  );
  const { authenticated = false, audiences = [], user } = (status ?? {}) as ReviewStatus;
  return {
    // A server that does not know audiences answers without them, and its yes means nothing here.
    authenticated: authenticated && audiences.includes(audience),
    username: user?.username ?? '',
    podUid: user?.extra?.['authentication.kubernetes.io/pod-uid']?.[0],
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
