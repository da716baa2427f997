import { type Clock, messageOf, timestamp } from '@roundhouse/base';
import { type InferenceServiceStatus, type Names, servingRuntimeSpec } from '@roundhouse/crds';
import type { Log } from '@roundhouse/telemetry';
import type { Fleet } from '../assignments/fleet.ts';
import { type Cluster, type Installation, type RecordEvent, resources, type Stored, type Views } from '../cluster.ts';
import { mergePatchFor } from '../merge-patch.ts';
import { planChild } from './children.ts';
import { createHosts } from './hosts.ts';
import { type Plan, planInferenceService } from './plan.ts';
import { type Runtime, supportsFramework } from './runtime.ts';
import { type DeploymentView, predictorHostFor, type StatusFacts, statusFor } from './status.ts';
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
  readonly domain: string;
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
  /** Looks at the service again, soon or after a while. */
  readonly wake: (key: string, afterMs?: number) => void;
  /** The service's pods. */
  readonly podsOf: (key: string) => Iterable<Stored>;
};

/** What is remembered of a service between its reconciliations; all of it can be found again. */
type Memory = { secrets: readonly string[]; failure: string | undefined };

/** InferenceServices: what models and routers see of them at once, and their objects and status soon after. */
export function createServices(deps: Deps) {
  const { names, clock, cluster, views, fleet, record, domain, fileRoots, installation, wake, podsOf } = deps;
  const hosts = createHosts();
  const memories = new Map<string, Memory>();

  const memoryOf = (key: string) => {
    const known = memories.get(key) ?? { secrets: [], failure: undefined };
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
    const plan = planFor(object, memoryOf(key).secrets);
    const createdMs = Date.parse(object.metadata.creationTimestamp ?? '') || 0;
    const host = `${name}-${namespace}.${domain}`;
    for (const other of hosts.claim(key, [host], createdMs)) wake(other);
    const facts = factsFor(object, plan, host);
    const status = statusFor(facts, storedStatus(object), timestamp(clock.now()));
    fleet.setService(namespace, name, viewFor(object, plan, host, status, facts.hostHolder, createdMs));
    return { object, plan, status };
  };

  const planFor = (object: Stored, secrets: readonly string[]): Plan => {
    const { name, namespace = '', uid = '', labels = {}, annotations = {} } = object.metadata;
    const { group, version, kind } = names.inferenceServices;
    const owner = {
      apiVersion: `${group}/${version}`,
      kind,
      name,
      uid,
      controller: true,
      blockOwnerDeletion: true,
    } as const;
    const service = { name, namespace, labels, annotations, owner };
    return planInferenceService({
      names,
      service,
      spec: object.spec,
      runtimes: runtimesOf(namespace),
      secrets,
      fileRoots,
      installation,
    });
  };

  const runtimesOf = (namespace: string) => [
    ...[...views.runtimes.list()]
      .filter(({ metadata }) => metadata.namespace === namespace)
      .flatMap((object) => runtimeFor(object, true)),
    ...[...views.clusterRuntimes.list()].flatMap((object) => runtimeFor(object, false)),
  ];

  const factsFor = ({ metadata }: Stored, plan: Plan, host: string): StatusFacts => {
    const { name, namespace = '', generation = 0 } = metadata;
    const key = `${namespace}/${name}`;
    const holder = hosts.holderOf(host);
    return {
      names,
      installation,
      name,
      namespace,
      generation,
      plan,
      failure: memoryOf(key).failure,
      deployment: deploymentView(views.deployments.get(`${namespace}/${names.predictor(name)}`)),
      host,
      hostHolder: holder === key ? undefined : holder,
      unreachable: unreachableOf(key),
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

  const applyChildren = async ({ metadata }: Stored, plan: Plan, signal: AbortSignal) => {
    if (plan.kind === 'blocked') return; // what serves now keeps serving
    for (const wanted of plan.children) {
      const resource = wanted.kind === 'Deployment' ? resources.deployments : resources.services;
      const view = wanted.kind === 'Deployment' ? views.deployments : views.childServices;
      const { name, namespace } = wanted.metadata;
      const current = view.get(`${namespace}/${name}`) ?? (await cluster.get(resource, namespace, name, signal));
      const step = planChild<Stored>(wanted, current, metadata.uid ?? '');
      if (step?.kind === 'create') await cluster.create(resource, step.object, signal);
      if (step?.kind === 'replace') await cluster.replace(resource, step.object, signal);
      if (step?.kind === 'foreign') throw new Error(step.message);
    }
  };

  return {
    refresh,

    /** Brings the service's objects to what its spec asks, and its status to what holds. */
    async reconcile(key: string, signal: AbortSignal) {
      const object = views.services.get(key);
      if (object === undefined || object.metadata.deletionTimestamp !== undefined) return void refresh(key);
      const memory = memoryOf(key);
      memory.secrets = await loadSecretNames(deps, object, signal);
      let failure: unknown;
      try {
        await applyChildren(object, planFor(object, memory.secrets), signal);
      } catch (error) {
        failure = error;
      }
      memory.failure = failure === undefined ? undefined : messageOf(failure);
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

/** A pod is Ready before its agent connects; a stream that takes longer than this does not come by itself. */
const unreachableAfterMs = 30_000;

function readySince({ status }: Stored): number {
  const conditions = (
    status as { readonly conditions?: readonly { type: string; status: string; lastTransitionTime?: string }[] }
  )?.conditions;
  const ready = conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True' ? Date.parse(ready.lastTransitionTime ?? '') : Number.POSITIVE_INFINITY;
}

/** KServe's conventions: the Secret that the annotation names, or those of the pods' ServiceAccount. */
async function loadSecretNames(
  { cluster }: Deps,
  { metadata, spec }: Stored,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const named = metadata.annotations?.['serving.kserve.io/storageSecretName'];
  if (named !== undefined) return [named];
  const account = (spec as { readonly predictor?: { readonly serviceAccountName?: string } } | undefined)?.predictor
    ?.serviceAccountName;
  const stored = await cluster.get(resources.serviceAccounts, metadata.namespace, account ?? 'default', signal);
  const secrets = (stored?.secrets ?? []) as readonly { readonly name?: string }[];
  return secrets.flatMap(({ name }) => name ?? []).sort();
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
  return { availableReplicas, conditions };
}

function viewFor(
  object: Stored,
  plan: Plan,
  host: string,
  status: InferenceServiceStatus,
  holder: string | undefined,
  createdMs: number,
): ServiceView {
  const { name, namespace = '', uid = '' } = object.metadata;
  const resolution = plan.kind === 'apply' ? plan.resolution : undefined;
  const runtime = resolution?.runtime;
  const formats = (runtime?.spec.supportedModelFormats ?? []).map((format) => format.name);
  const multiModel = plan.kind === 'apply' ? plan.resolution.predictor.multiModel : plan.multiModel;
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  return {
    uid,
    createdMs,
    planning: JSON.stringify([uid, multiModel, runtime?.name, formats, resolution?.capacityBytes]),
    multiModel,
    runtime: runtime && { name: runtime.name, formats: [...new Set(formats)] },
    supports: (framework) => runtime !== undefined && supportsFramework(runtime, framework),
    capacityBytes: resolution?.capacityBytes,
    replicas: resolution?.replicas ?? 0,
    protocol: resolution?.protocol ?? 'v1',
    ready: ready?.status === 'True',
    whyNot: ready?.message,
    url: status.url ?? '',
    addressUrl: status.address?.url ?? '',
    hosts: holder === undefined ? [host, predictorHostFor(host, name)] : [],
    pathPrefix: `/serving/${namespace}/${name}`,
    traffic: trafficFor(object.metadata.annotations ?? {}, timeoutOf(object), runtime?.spec.protocolVersions),
  };
}

/** KServe's `timeout` of the predictor, whatever it is. */
function timeoutOf({ spec }: Stored): unknown {
  return (spec as { predictor?: { timeout?: unknown } } | undefined)?.predictor?.timeout;
}

function storedStatus({ status }: Stored): InferenceServiceStatus {
  return (status ?? {}) as InferenceServiceStatus;
}

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
  for (const type of ['PredictorReady', 'IngressReady', 'UnsupportedField', 'AgentUnreachable']) {
    const [old, now] = [find(before, type), find(after, type)];
    const bad = type === 'PredictorReady' || type === 'IngressReady' ? now?.status === 'False' : now?.status === 'True';
    if (!bad || now?.reason === undefined || now.reason === 'PredictorNotReady' || old?.reason === now.reason) continue;
    events.push({ type: 'Warning', reason: now.reason, message: now.message ?? '' });
  }
  return events;
}
