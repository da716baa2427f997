import { isDeepStrictEqual } from 'node:util';
import { type Clock, type Random, timestamp } from '@roundhouse/base';
import type { Api, KubeObject } from '../api.ts';
import {
  conditionOf,
  controllerOf,
  isReady,
  isTerminal,
  keyOf,
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
    reconcile(key) {
      const [namespace, name] = key.split('/') as [string, string];
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
export function podsOf(api: Api, { metadata, spec }: ReplicaSet): Pod[] {
  const { items } = api.list(pods, {
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    labels: spec.selector.matchLabels ?? {},
  });
  return (items as readonly Pod[]).filter(
    (pod) =>
      controllerOf(pod)?.uid === metadata.uid && pod.metadata.deletionTimestamp === undefined && !isTerminal(pod),
  );
}

function scale({ api, random }: WorkloadDeps, set: ReplicaSet, own: readonly Pod[]): void {
  const { namespace } = set.metadata;
  const missing = (set.spec.replicas ?? 1) - own.length;
  for (let made = 0; made < Math.min(missing, burstMax); made++) api.create(pods, podFor(set, random));
  if (missing >= 0) return;
  // Those that serve least go first: not ready before ready, young before old.
  const age = (pod: Pod) => `${isReady(pod) ? 1 : 0}${invert(pod.metadata.creationTimestamp ?? '')}`;
  const doomed = own.toSorted((a, b) => (age(a) < age(b) ? -1 : 1)).slice(0, Math.min(-missing, burstMax));
  for (const { metadata } of doomed) {
    api.delete(pods, namespace, metadata.name, metadata.uid === undefined ? {} : { uid: metadata.uid });
  }
}

/** Turns the order of timestamps around. */
function invert(time: string): string {
  return time.replaceAll(/\d/g, (digit) => String(9 - Number(digit)));
}

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

function podFor({ apiVersion, kind, metadata, spec }: ReplicaSet, random: Random): KubeObject {
  const suffix = Array.from({ length: 5 }, () => suffixAlphabet[Math.floor(random() * suffixAlphabet.length)]).join('');
  const owner = { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...spec.template.metadata,
      name: `${metadata.name}-${suffix}`,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      generateName: `${metadata.name}-`,
      ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
    },
    spec: spec.template.spec,
  };
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
  const again = Math.min(...waits.filter((wait) => wait > 0));
  if ((spec.replicas ?? 1) !== own.length) return { againMs: 0 };
  return Number.isFinite(again) ? { againMs: again } : undefined;
}

/** Milliseconds until a ready pod has been so for long enough; infinite while it is not ready. */
function untilAvailableMs(pod: Pod, minReadySeconds: number, now: number): number {
  if (!isReady(pod)) return Number.POSITIVE_INFINITY;
  if (minReadySeconds === 0) return 0;
  const since = conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime ?? timestamp(now);
  return Math.max(0, Date.parse(since) + minReadySeconds * 1000 - now);
}
