import { isDeepStrictEqual } from 'node:util';
import { type Clock, type Random, timestamp } from '@roundhouse/base';
import type { Api, KubeObject } from '../api.ts';
import { generatedName } from '../rest.ts';
import {
  conditionOf,
  controllerOf,
  isReady,
  isTerminal,
  keyOf,
  ownedBy,
  type Pod,
  pods,
  type ReplicaSet,
  replicaSets,
} from './kinds.ts';
import type { Reconciler } from './reconciler.ts';

export type WorkloadDeps = { readonly api: Api; readonly clock: Clock; readonly random: Random };

/** Pods made or removed in one look; the rest follow in the next one, so that a typing error starts no thousand processes at once. */
const burstMax = 50;

export function replicaSetReconciler(deps: WorkloadDeps): Reconciler {
  const { api } = deps;
  return {
    name: 'replica set',
    sources: [
      { resource: replicaSets, keysOf: (object) => [keyOf(object)] },
      { resource: pods, keysOf: (object) => ownerKeys(object, 'ReplicaSet') },
    ],
    reconcile(namespace, name) {
      const set = api.get(replicaSets, namespace, name) as ReplicaSet | undefined;
      if (set === undefined || set.metadata.deletionTimestamp !== undefined) return undefined;
      scale(deps, set, podsOf(api, set));
      return writeStatus(deps, set, podsOf(api, set));
    },
  };
}

export function ownerKeys(object: KubeObject, kind: string): string[] {
  const owner = controllerOf(object);
  return owner?.kind === kind ? [`${object.metadata.namespace}/${owner.name}`] : [];
}

/** The pods that count: those that end or ended are replaced. */
function podsOf(api: Api, { metadata: { namespace = '', uid }, spec }: ReplicaSet): Pod[] {
  const { items } = api.list(pods, { namespace, labels: spec.selector.matchLabels ?? {} });
  const isOwn = (pod: Pod) => controllerOf(pod)?.uid === uid && pod.metadata.deletionTimestamp === undefined;
  return (items as readonly Pod[]).filter((pod) => isOwn(pod) && !isTerminal(pod));
}

function scale({ api, random }: WorkloadDeps, set: ReplicaSet, own: readonly Pod[]): void {
  const missing = (set.spec.replicas ?? 1) - own.length;
  for (let made = 0; made < Math.min(missing, burstMax); made++) api.create(pods, podFor(set, random));
  // Those that serve least go first: not ready before ready, young before old.
  const bornAt = ({ metadata }: Pod) => Date.parse(metadata.creationTimestamp ?? '');
  const leastFirst = own.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || bornAt(b) - bornAt(a));
  for (const { metadata } of leastFirst.slice(0, Math.max(0, Math.min(-missing, burstMax)))) {
    api.delete(pods, metadata.namespace, metadata.name, { uid: metadata.uid ?? '' });
  }
}

function podFor(set: ReplicaSet, random: Random): KubeObject {
  const { name, namespace = '' } = set.metadata;
  const { metadata, spec } = set.spec.template ?? {};
  const own = { generateName: `${name}-`, name: generatedName(`${name}-`, random), namespace };
  const kept = { labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { ...kept, ...own, ownerReferences: ownedBy(set) }, spec };
}

function writeStatus({ api, clock }: WorkloadDeps, { metadata, spec }: ReplicaSet, own: readonly Pod[]) {
  const waits = own.map((pod) => untilAvailableMs(pod, spec.minReadySeconds ?? 0, clock.now()));
  const status = {
    replicas: own.length,
    fullyLabeledReplicas: own.length,
    readyReplicas: own.filter(isReady).length,
    availableReplicas: waits.filter((wait) => wait === 0).length,
    observedGeneration: metadata.generation ?? 0,
  };
  const current = api.get(replicaSets, metadata.namespace, metadata.name);
  if (current !== undefined && !isDeepStrictEqual(current.status, status)) {
    api.update(replicaSets, { ...current, status }, 'status');
  }
  if ((spec.replicas ?? 1) !== own.length) return 0;
  const again = Math.min(...waits.filter((wait) => wait > 0));
  return Number.isFinite(again) ? again : undefined;
}

/** Milliseconds until a ready pod has been so for long enough; infinite while it is not ready. */
function untilAvailableMs(pod: Pod, minReadySeconds: number, now: number): number {
  if (!isReady(pod)) return Number.POSITIVE_INFINITY;
  const since = conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime ?? timestamp(now);
  return minReadySeconds === 0 ? 0 : Math.max(0, Date.parse(since) + minReadySeconds * 1000 - now);
}
