import { type Clock, messageOf, timestamp } from '@roundhouse/base';
import {
  bytesOf,
  type InferenceServiceStatus,
  type Names,
  annotations as notes,
  type ResourceName,
  servingRuntimeSpec,
} from '@roundhouse/crds';
import { isKubeError } from '@roundhouse/kube';
import type { Log } from '@roundhouse/telemetry';
import type { Fleet } from '../assignments/fleet.ts';
import {
  type Cluster,
  type Installation,
  keyOf,
  missingRetryMs,
  type RecordEvent,
  resources,
  type Stored,
  type View,
  type Views,
} from '../cluster.ts';
import { mergePatchFor } from '../merge-patch.ts';
import { type Addresses, addressesFor } from './addresses.ts';
import { type Child, planChild } from './children.ts';
import { createHosts } from './hosts.ts';
import type { ServiceIdentity } from './manifests/metadata.ts';
import { withStoredTemplate } from './manifests/release.ts';
import type { StorageAccess } from './manifests/rendering.ts';
import { type ChildKind, childKinds, type Plan, type PredictorChild, planInferenceService } from './plan.ts';
import { type Runtime, supportsFramework } from './runtime.ts';
import type { Settings } from './settings.ts';
import { type DeploymentView, type StatusFacts, statusFor } from './status.ts';
import { loadStorageAccess } from './storage-access.ts';
import { trafficFor } from './traffic.ts';
import type { ServiceView } from './view.ts';

export type Deps = {
  readonly names: Names;
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly views: Views;
  readonly fleet: Fleet;
  readonly record: RecordEvent;
  /** Used where the configuration names none. */
  readonly domain: string;
  readonly settings: Settings;
  /** What is wrong with the service's ConfigMaps: models that are in none, and one that is somebody else's. */
  readonly shards: { homeless(key: string): number; foreign(key: string): string | undefined };
  /** A kind that the settings ask for and the cluster does not have. */
  readonly missingWayIn: () => string | undefined;
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
  /** Looks at the service again, soon or after a while. */
  readonly wake: (key: string, afterMs?: number) => void;
  /** The service's pods. */
  readonly podsOf: (key: string) => Iterable<Stored>;
};

/** What is remembered of a service between its reconciliations; all of it can be found again. */
type Memory = {
  storage: StorageAccess;
  failure: string | undefined;
  scaledElsewhere: boolean | undefined;
  /** A kind that the service asks for and the cluster does not have. */
  missing: string | undefined;
};

/** InferenceServices: what models and routers see of them at once, and their objects and status soon after. */
export function createServices(deps: Deps) {
  const { names, clock, cluster, views, fleet, record, fileRoots, installation, wake, podsOf } = deps;
  const hosts = createHosts();
  const memories = new Map<string, Memory>();

  const memoryOf = (key: string) => {
    const known = memories.get(key) ?? {
      storage: { secrets: [], env: {} },
      failure: undefined,
      scaledElsewhere: undefined,
      missing: undefined,
    };
    memories.set(key, known);
    return known;
  };

  /** Takes in any change that concerns the service. Nothing waits for the API server here. */
  const refresh = (key: string) => {
    const object = views.services.get(key);
    const [namespace = '', name = ''] = key.split('/');
    if (object === undefined) {
      memories.delete(key);
      for (const other of hosts.claim(key, [], 0)) wake(other);
      fleet.setService(namespace, name, undefined);
      return undefined;
    }
    const service = identityOf(object);
    const plan = planFor(object, service);
    const createdMs = Date.parse(object.metadata.creationTimestamp ?? '') || 0;
    const addresses = addressesFor({ names, service }, deps.settings.current().config, deps.domain);
    for (const other of hosts.claim(key, addresses.hosts, createdMs)) wake(other);
    const facts = factsFor(object, plan, addresses);
    const status = statusFor(facts, storedStatus(object), timestamp(clock.now()));
    const before = fleet.services.get(key)?.view;
    fleet.setService(namespace, name, viewFor({ object, plan, facts, status, createdMs }, before));
    return { object, plan, status };
  };

  const identityOf = ({ metadata }: Stored): ServiceIdentity => {
    const { name, namespace = '', uid = '', labels = {}, annotations = {} } = metadata;
    const { group, version, kind } = names.inferenceServices;
    const apiVersion = `${group}/${version}`;
    const owner = { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true } as const;
    return { name, namespace, labels, annotations, owner };
  };

  const planFor = ({ spec }: Stored, service: ServiceIdentity): Plan =>
    planInferenceService({
      names,
      service,
      spec,
      runtimes: runtimesOf(service.namespace),
      config: deps.settings.current().config,
      storage: memoryOf(`${service.namespace}/${service.name}`).storage,
      fileRoots,
      installation,
    });

  const runtimesOf = (namespace: string) => [
    ...[...views.runtimes.list()]
      .filter(({ metadata }) => metadata.namespace === namespace)
      .flatMap((object) => runtimeFor(object, true)),
    ...[...views.clusterRuntimes.list()].flatMap((object) => runtimeFor(object, false)),
  ];

  const factsFor = ({ metadata }: Stored, plan: Plan, addresses: Addresses): StatusFacts => {
    const { name, namespace = '', generation = 0 } = metadata;
    const key = `${namespace}/${name}`;
    const service = fleet.services.get(key);
    const isOwn = plan.kind === 'apply' && plan.resolution.own !== undefined;
    const taken = addresses.hosts.find((host) => hosts.holderOf(host) !== key);
    return {
      names,
      installation,
      generation,
      plan,
      failure: memoryOf(key).failure ?? deps.shards.foreign(key),
      deployment: deploymentView(views.deployments.get(`${namespace}/${names.predictor(name)}`)),
      addresses,
      hostTaken: taken === undefined ? undefined : { host: taken, by: hosts.holderOf(taken) ?? '' },
      unreachable: unreachableOf(key),
      homeless: deps.shards.homeless(key),
      missingKinds: [memoryOf(key).missing, deps.missingWayIn()].filter((kind) => kind !== undefined),
      configProblems: deps.settings.current().problems,
      ownCopies: isOwn && service !== undefined ? fleet.copiesOf(service, name) : undefined,
    };
  };

  /** Pods that have been Ready for a while, and whose agents nobody hears. */
  const unreachableOf = (key: string) => {
    const replicas = fleet.services.get(key)?.replicas;
    const silent = [...podsOf(key)].filter(({ metadata }) => !replicas?.get(metadata.uid ?? '')?.session);
    const late = silent.filter((pod) => readySince(pod) <= clock.now() - unreachableAfterMs);
    if (late.length < silent.length) wake(key, unreachableAfterMs);
    return late.map(({ metadata }) => metadata.name).sort();
  };

  const currentOf = async (kind: ChildKind, namespace: string, name: string, signal: AbortSignal) => {
    const { resource, view } = kinds[kind];
    return view?.get(`${namespace}/${name}`) ?? (await cluster.get(resource, namespace, name, signal));
  };

  const applyChildren = async (object: Stored, plan: Plan, signal: AbortSignal) => {
    if (plan.kind === 'blocked' && !plan.stopped) return; // what serves now keeps serving
    const children = plan.kind === 'apply' ? plan.children : [];
    memoryOf(keyOf(object)).missing = undefined;
    for (const wanted of children) {
      try {
        await applyChild(object, plan, wanted, signal);
      } catch (error) {
        if (!isKubeError(error, 'kube/no-kind')) throw error;
        memoryOf(keyOf(object)).missing = `${wanted.kind} of ${wanted.apiVersion}`;
        wake(keyOf(object), missingRetryMs);
      }
    }
    const missing = childKinds.filter((kind) => !children.some((child) => child.kind === kind));
    for (const kind of missing) await removeChild(object, kind, signal);
  };

  const applyChild = async ({ metadata }: Stored, plan: Plan, wanted: PredictorChild, signal: AbortSignal) => {
    const { resource } = kinds[wanted.kind];
    const current = await currentOf(wanted.kind, wanted.metadata.namespace ?? '', wanted.metadata.name, signal);
    const step = planChild<Stored>(withStoredTemplate(wanted, current), current, metadata.uid ?? '');
    if (step?.kind === 'create') await cluster.create(resource, withReplicas(step.object, plan), signal);
    // Half a configuration is no reason to change what runs; nor is anything, for those who said so.
    const isHeld = deps.settings.current().problems.length > 0 || isFrozen(metadata);
    if (step?.kind === 'replace' && !isHeld) await cluster.replace(resource, step.object, signal);
    if (step?.kind === 'foreign') throw new Error(step.message);
    if (wanted.kind === 'ScaledObject') memoryOf(`${metadata.namespace}/${metadata.name}`).scaledElsewhere = true;
  };

  const isFrozen = ({ namespace, name, annotations }: Stored['metadata']) =>
    annotations?.[names.annotations.frozen] === 'true' &&
    fleet.services.get(`${namespace}/${name}`)?.view?.ready === true;

  const removeChild = async ({ metadata }: Stored, kind: ChildKind, signal: AbortSignal) => {
    const { namespace = '', name, uid = '' } = metadata;
    const { resource, view } = kinds[kind];
    const memory = memoryOf(`${namespace}/${name}`);
    // Kinds that are not watched, and may not even be there, are looked for once.
    if (view === undefined && memory.scaledElsewhere === false) return;
    const child = names.predictor(name);
    const current =
      view === undefined ? await looked(resource, namespace, child, signal) : view.get(`${namespace}/${child}`);
    if (view === undefined) memory.scaledElsewhere = false;
    if (current?.metadata.deletionTimestamp !== undefined) return;
    if (current?.metadata.ownerReferences?.some((owner) => owner.uid === uid) !== true) return;
    await cluster.delete(resource, { namespace, name: child, uid: current.metadata.uid ?? '' }, signal);
  };

  /**
   * The pods of a service that is going hold memory and GPUs. The garbage collector has thousands of models to delete beside them, in no
   * order, and takes minutes. Where it is told to leave the Deployment, that has no owner any more, or our write conflicts.
   */
  const stopLeftBehind = async (key: string, signal: AbortSignal) => {
    const [namespace, name = ''] = key.split('/');
    const deployment = views.deployments.get(`${namespace}/${names.predictor(name)}`);
    if (deployment === undefined || !isLeftBehind(deployment, views.services.get(key))) return;
    const spec = { ...(deployment.spec as object), replicas: 0 };
    await cluster.replace(resources.deployments, { ...deployment, spec }, signal).catch((error: unknown) => {
      if (!isRace(error) && !isKubeError(error, 'kube/not-found')) throw error;
    });
  };

  const isLeftBehind = ({ metadata, spec }: Stored, service: Stored | undefined) => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    const isOurs =
      owner?.kind === names.inferenceServices.kind && owner.apiVersion.startsWith(names.inferenceServices.group);
    const isGoing = service === undefined || service.metadata.finalizers?.includes('foregroundDeletion') === true;
    return isOurs && isGoing && (spec as { readonly replicas?: number }).replicas !== 0;
  };

  const looked = async (resource: ResourceName, namespace: string, name: string, signal: AbortSignal) => {
    try {
      return await cluster.get(resource, namespace, name, signal);
    } catch (error) {
      if (isKubeError(error, 'kube/denied')) return undefined; // nor could we have made one
      throw error;
    }
  };

  const kinds: Readonly<Record<ChildKind, { readonly resource: ResourceName; readonly view: View | undefined }>> = {
    Service: { resource: resources.services, view: views.childServices },
    Deployment: { resource: resources.deployments, view: views.deployments },
    HorizontalPodAutoscaler: { resource: resources.autoscalers, view: views.autoscalers },
    PodDisruptionBudget: { resource: resources.budgets, view: views.budgets },
    ScaledObject: { resource: resources.scaledObjects, view: undefined },
  };

  return {
    refresh,

    /** Brings the service's objects to what its spec asks, and its status to what holds. */
    async reconcile(key: string, signal: AbortSignal) {
      const object = views.services.get(key);
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
        refresh(key);
        return await stopLeftBehind(key, signal);
      }
      const memory = memoryOf(key);
      let failure: unknown;
      try {
        memory.storage = await loadStorageAccess(deps, object, deps.settings.current().config, signal);
        await applyChildren(object, planFor(object, identityOf(object)), signal);
      } catch (error) {
        failure = error;
      }
      memory.failure = failure === undefined || isRace(failure) ? undefined : messageOf(failure);
      const now = refresh(key);
      if (now !== undefined) {
        const before = storedStatus(now.object);
        const status = mergePatchFor(before, now.status);
        const { namespace = '', name } = object.metadata;
        if (status !== undefined) {
          await cluster.patch(names.inferenceServices, { namespace, name, status: true }, { status }, signal);
          for (const event of eventsFor(before, now.status)) record(object, event);
        }
      }
      if (failure !== undefined) throw failure; // the queue backs off and comes back
    },
  };
}

/** Somebody wrote between our look and our write: the next look settles it, and nobody need hear of it. */
function isRace(error: unknown): boolean {
  return isKubeError(error, 'kube/conflict') || isKubeError(error, 'kube/already-exists');
}

/** A Deployment that an autoscaler will have begins with as many replicas as the service asks for at least. */
function withReplicas(child: Child, plan: Plan): Child {
  const scaled = child.kind === 'Deployment' && plan.kind === 'apply' && plan.resolution.autoscaling.elsewhere;
  return scaled ? { ...child, spec: { replicas: plan.resolution.autoscaling.minReplicas, ...child.spec } } : child;
}

/** A pod is Ready before its agent connects; a stream that takes longer than this does not come by itself. */
const unreachableAfterMs = 30_000;

function readySince({ status }: Stored): number {
  const conditions = (
    status as { readonly conditions?: readonly { type: string; status: string; lastTransitionTime?: string }[] }
  )?.conditions;
  const ready = conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' ? Date.parse(ready.lastTransitionTime ?? '') : Number.POSITIVE_INFINITY;
}

function runtimeFor(object: Stored, namespaced: boolean): readonly Runtime[] {
  const spec = servingRuntimeSpec.safeParse(object.spec).data;
  if (spec === undefined) return [];
  const { name, creationTimestamp = '', annotations = {} } = object.metadata;
  return [{ name, namespaced, createdMs: Date.parse(creationTimestamp) || 0, annotations, spec }];
}

function deploymentView(object: Stored | undefined): DeploymentView | undefined {
  if (object === undefined) return undefined;
  const { availableReplicas = 0, conditions = [] } = (object.status ?? {}) as Partial<DeploymentView>;
  const { replicas } = (object.spec ?? {}) as { readonly replicas?: number };
  return { availableReplicas, conditions, replicas };
}

type Seen = {
  readonly object: Stored;
  readonly plan: Plan;
  readonly facts: StatusFacts;
  readonly status: InferenceServiceStatus;
  readonly createdMs: number;
};

function viewFor({ object, plan, facts, status, createdMs }: Seen, before: ServiceView | undefined): ServiceView {
  const { uid = '', annotations = {} } = object.metadata;
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  const { addresses, hostTaken } = facts;
  return {
    ...servingFor(plan, facts, uid, annotations, before),
    uid,
    createdMs,
    ready: ready?.status === 'True',
    whyNot: ready?.message,
    url: status.url ?? '',
    addressUrl: status.address?.url ?? '',
    hosts: hostTaken === undefined ? addresses.hosts : [],
    pathPrefixes: addresses.pathPrefixes,
    traffic: trafficFor(annotations, timeoutOf(object), protocolsOf(plan)),
  };
}

type Serving = Pick<
  ServiceView,
  | 'planning'
  | 'multiModel'
  | 'own'
  | 'runtime'
  | 'supports'
  | 'capacityBytes'
  | 'gpuCapacityBytes'
  | 'replicas'
  | 'protocol'
>;

/** What models need of the service. While its plan is blocked, what they have stays theirs. */
function servingFor(
  plan: Plan,
  { deployment }: StatusFacts,
  uid: string,
  annotations: Readonly<Record<string, string>>,
  before: ServiceView | undefined,
): Serving {
  if (plan.kind === 'blocked') {
    const isSameKind = plan.multiModel === undefined || plan.multiModel === before?.multiModel;
    if (before?.uid === uid && before.runtime !== undefined && isSameKind) return before;
    const planning = JSON.stringify([uid, plan.multiModel]);
    const nothing = {
      own: undefined,
      runtime: undefined,
      capacityBytes: undefined,
      gpuCapacityBytes: undefined,
      replicas: 0,
      protocol: 'v1',
    };
    return { ...nothing, planning, multiModel: plan.multiModel, supports: () => false };
  }
  const { runtime, predictor, capacityBytes, autoscaling, protocol, own } = plan.resolution;
  const formats = (runtime.spec.supportedModelFormats ?? []).map((format) => format.name);
  const wanted = autoscaling.elsewhere ? (deployment?.replicas ?? autoscaling.minReplicas) : autoscaling.minReplicas;
  const gpuCapacityBytes = bytesOf(annotations[notes.gpuMemory]);
  const { [notes.sha256]: sha256, [notes.secret]: secret } = annotations;
  const kept = { ...(sha256 && { [notes.sha256]: sha256 }), ...(secret && { [notes.secret]: secret }) };
  return {
    planning: JSON.stringify([uid, predictor.multiModel, runtime.name, formats, capacityBytes, gpuCapacityBytes]),
    multiModel: predictor.multiModel,
    own: own && { ...own, annotations: kept },
    runtime: { name: runtime.name, formats: [...new Set(formats)] },
    supports: (framework) => supportsFramework(runtime, framework),
    capacityBytes,
    gpuCapacityBytes,
    replicas: plan.stopped ? 0 : wanted,
    protocol,
  };
}

/** KServe's `timeout` of the predictor, whatever it is. */
function timeoutOf({ spec }: Stored): unknown {
  return (spec as { predictor?: { timeout?: unknown } } | undefined)?.predictor?.timeout;
}

function protocolsOf(plan: Plan): readonly string[] | undefined {
  return plan.kind === 'apply' ? plan.resolution.runtime.spec.protocolVersions : undefined;
}

function storedStatus({ status }: Stored): InferenceServiceStatus {
  return (status ?? {}) as InferenceServiceStatus;
}

/** Conditions whose trouble a person would ask about, and reasons that pass by themselves in a healthy start or were asked for. */
const told = [
  'PredictorReady',
  'IngressReady',
  'UnsupportedField',
  'AgentUnreachable',
  'ModelConfigFull',
  'ConfigInvalid',
  'KindMissing',
];
const usual: ReadonlySet<string> = new Set(['PredictorNotReady', 'ModelNotLoaded', 'Stopped']);

/** KServe's Events of a service, and the troubles of ours that a person would ask about. */
function eventsFor(before: InferenceServiceStatus, after: InferenceServiceStatus) {
  const find = (status: InferenceServiceStatus, type: string) =>
    status.conditions?.find((condition) => condition.type === type);
  const [was, is] = [find(before, 'Ready'), find(after, 'Ready')];
  const events: { type: 'Normal' | 'Warning'; reason: string; message: string }[] = [];
  if (was?.status !== 'True' && is?.status === 'True') {
    events.push({ type: 'Normal', reason: 'InferenceServiceReady', message: `takes requests at ${after.url}` });
  }
  if (was?.status === 'True' && is?.status !== 'True') {
    events.push({ type: 'Warning', reason: 'InferenceServiceNotReady', message: is?.message ?? '' });
  }
  for (const type of told) {
    const [old, now] = [find(before, type), find(after, type)];
    const bad = type === 'PredictorReady' || type === 'IngressReady' ? now?.status === 'False' : now?.status === 'True';
    if (!bad || now?.reason === undefined || usual.has(now.reason) || old?.reason === now.reason) continue;
    events.push({ type: 'Warning', reason: now.reason, message: now.message ?? '' });
  }
  return events;
}
