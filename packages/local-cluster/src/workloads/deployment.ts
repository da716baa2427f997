import { isDeepStrictEqual } from 'node:util';
import { timestamp } from '@roundhouse/base';
import type { Api } from '../api.ts';
import {
  type Condition,
  conditionOf,
  controllerOf,
  type Deployment,
  type DeploymentStatus,
  deployments,
  keyOf,
  pods,
  type ReplicaSet,
  replicaSets,
  withTransitions,
} from './kinds.ts';
import type { Reconciler } from './reconciler.ts';
import { ownerKeys, type WorkloadDeps } from './replica-set.ts';
import { hashLabel, planScaling, rollingBounds, templateHash } from './rollout.ts';

const revisionAnnotation = 'deployment.kubernetes.io/revision';

export function deploymentReconciler(deps: WorkloadDeps): Reconciler {
  const { api } = deps;
  return {
    name: 'deployment',
    sources: [
      { resource: deployments, keysOf: (object) => [keyOf(object)] },
      { resource: replicaSets, keysOf: (object) => ownerKeys(object, 'Deployment') },
      // Recreate waits for the old pods to be gone, which no replica set's status shows.
      {
        resource: pods,
        keysOf: (object) =>
          ownerKeys(object, 'ReplicaSet').flatMap((key) => {
            const [namespace, name] = key.split('/') as [string, string];
            const set = api.get(replicaSets, namespace, name);
            return set === undefined ? [] : ownerKeys(set, 'Deployment');
          }),
      },
    ],
    reconcile(key) {
      const [namespace, name] = key.split('/') as [string, string];
      const deployment = api.get(deployments, namespace, name) as Deployment | undefined;
      if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined;
      return roll(deps, deployment);
    },
  };
}

function roll(deps: WorkloadDeps, deployment: Deployment) {
  const { api } = deps;
  const hash = templateHash(deployment.spec.template);
  const sets = replicaSetsOf(api, deployment);
  let next = sets.find(({ metadata }) => metadata.labels?.[hashLabel] === hash);
  if (next === undefined && deployment.spec.paused === true) return writeStatus(deps, deployment, undefined, sets);

  const others = sets.filter((set) => set !== next);
  const revision = String(Math.max(0, ...others.map(revisionOf)) + 1);
  next ??= api.create(replicaSets, replicaSetFor(deployment, hash, revision)) as ReplicaSet;
  // A set that was used before and is wanted again (rollout undo) becomes the newest revision.
  if (revisionOf(next) < Number(revision)) next = annotate(api, replicaSets, next, revision) as ReplicaSet;
  if (revisionOf(deployment) !== revisionOf(next)) {
    annotate(api, deployments, deployment, String(revisionOf(next)));
  }
  if (deployment.spec.paused !== true) {
    const scaling = planScaling(deployment, next, others, podsOwnedBy(api, deployment, others));
    for (const [{ metadata }, replicas] of scaling) scaleTo(api, metadata.namespace, metadata.name, replicas);
    forgetOldSets(deployment, others, api);
  }
  const now = replicaSetsOf(api, deployment);
  return writeStatus(
    deps,
    deployment,
    now.find(({ metadata }) => metadata.labels?.[hashLabel] === hash),
    now,
  );
}

function replicaSetsOf(api: Api, { metadata }: Deployment): ReplicaSet[] {
  const { items } = api.list(replicaSets, metadata.namespace === undefined ? {} : { namespace: metadata.namespace });
  return (items as readonly ReplicaSet[]).filter(
    (set) => controllerOf(set)?.uid === metadata.uid && set.metadata.deletionTimestamp === undefined,
  );
}

function podsOwnedBy(api: Api, { metadata }: Deployment, sets: readonly ReplicaSet[]): number {
  const owners = new Set(sets.map((set) => set.metadata.uid));
  const { items } = api.list(pods, metadata.namespace === undefined ? {} : { namespace: metadata.namespace });
  return items.filter((pod) => owners.has(controllerOf(pod)?.uid)).length;
}

function revisionOf({ metadata }: Deployment | ReplicaSet): number {
  return Number(metadata.annotations?.[revisionAnnotation] ?? 0);
}

function annotate(api: Api, resource: typeof deployments, { metadata }: Deployment | ReplicaSet, revision: string) {
  const current = api.get(resource, metadata.namespace, metadata.name) as Deployment;
  const annotations = { ...current.metadata.annotations, [revisionAnnotation]: revision };
  return api.update(resource, { ...current, metadata: { ...current.metadata, annotations } });
}

function replicaSetFor({ apiVersion, kind, metadata, spec }: Deployment, hash: string, revision: string): ReplicaSet {
  const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${metadata.name}-${hash}`,
      ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
      labels,
      annotations: { [revisionAnnotation]: revision },
      ownerReferences: [
        { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true },
      ],
    },
    spec: {
      replicas: 0,
      ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
}

function scaleTo(api: Api, namespace: string | undefined, name: string, replicas: number) {
  const set = api.get(replicaSets, namespace, name) as ReplicaSet | undefined;
  if (set !== undefined) api.update(replicaSets, { ...set, spec: { ...set.spec, replicas } } as ReplicaSet);
}

function forgetOldSets({ spec }: Deployment, others: readonly ReplicaSet[], api: Api) {
  const idle = others
    .filter((set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0)
    .toSorted((a, b) => revisionOf(b) - revisionOf(a));
  for (const { metadata } of idle.slice(spec.revisionHistoryLimit ?? 10)) {
    api.delete(replicaSets, metadata.namespace, metadata.name);
  }
}

function writeStatus(
  { api, clock }: WorkloadDeps,
  deployment: Deployment,
  next: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
) {
  const { namespace, name } = deployment.metadata;
  const current = api.get(deployments, namespace, name) as Deployment | undefined;
  if (current === undefined) return undefined;
  const { status, againMs } = statusFor(deployment, current.status, next, sets, clock.now());
  if (!isDeepStrictEqual(current.status, status)) api.update(deployments, { ...current, status }, 'status');
  return againMs === undefined ? undefined : { againMs };
}

/** What `kubectl rollout status` and the `Available` and `Progressing` conditions are read from. */
export function statusFor(
  { metadata, spec }: Deployment,
  previous: DeploymentStatus | undefined,
  next: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  nowMs: number,
): { readonly status: DeploymentStatus; readonly againMs?: number } {
  const desired = spec.replicas ?? 1;
  const sum = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') =>
    sets.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);
  const available = sum('availableReplicas');
  const counts = {
    observedGeneration: metadata.generation ?? 0,
    replicas: sum('replicas'),
    updatedReplicas: next?.status?.replicas ?? 0,
    readyReplicas: sum('readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(desired, sum('replicas')) - available),
  };
  const enough = available >= desired - rollingBounds(spec.strategy?.rollingUpdate, desired).unavailable;
  const complete =
    counts.updatedReplicas === desired && counts.replicas === desired && available >= desired && next !== undefined;
  const progress = progressing(spec.progressDeadlineSeconds ?? 600, complete, counts, previous, next, nowMs);
  const conditions = withTransitions(
    previous?.conditions,
    [
      enough
        ? {
            type: 'Available',
            status: 'True',
            reason: 'MinimumReplicasAvailable',
            message: 'Deployment has minimum availability.',
          }
        : {
            type: 'Available',
            status: 'False',
            reason: 'MinimumReplicasUnavailable',
            message: 'Deployment does not have minimum availability.',
          },
      progress.condition,
    ],
    timestamp(nowMs),
  );
  return { status: { ...counts, conditions }, ...(progress.againMs !== undefined && { againMs: progress.againMs }) };
}

/** Progress is any change of the counts; without one for the deadline's length the rollout has failed, and says so. */
function progressing(
  deadlineSeconds: number,
  complete: boolean,
  counts: DeploymentStatus,
  previous: DeploymentStatus | undefined,
  next: ReplicaSet | undefined,
  nowMs: number,
): { readonly condition: Condition; readonly againMs?: number } {
  const before = conditionOf(previous?.conditions, 'Progressing');
  const name = next?.metadata.name ?? '';
  const lastUpdateTime = timestamp(nowMs);
  if (complete) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    if (before?.message === message) return { condition: before };
    return {
      condition: { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message, lastUpdateTime },
    };
  }
  const message = `ReplicaSet "${name}" is progressing.`;
  const { conditions: _, ...countsBefore } = previous ?? {};
  const moved = before?.reason === 'NewReplicaSetAvailable' || !isDeepStrictEqual(counts, countsBefore);
  if (before === undefined || before.lastUpdateTime === undefined || moved) {
    const condition: Condition = {
      type: 'Progressing',
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message,
      lastUpdateTime,
    };
    return { condition, againMs: deadlineSeconds * 1000 + 1000 };
  }
  const leftMs = Date.parse(before.lastUpdateTime) + deadlineSeconds * 1000 - nowMs;
  if (leftMs > 0 || before.status === 'False') return { condition: before, ...(leftMs > 0 && { againMs: leftMs + 1 }) };
  return {
    condition: {
      type: 'Progressing',
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `ReplicaSet "${name}" has timed out progressing.`,
      lastUpdateTime,
    },
  };
}
