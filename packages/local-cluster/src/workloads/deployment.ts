import { isDeepStrictEqual } from 'node:util';
import { timestamp } from '@roundhouse/base';
import type { DeploymentCondition, DeploymentStatus } from 'kubernetes-types/apps/v1.js';
import type { Api } from '../api.ts';
import {
  conditionOf,
  controllerOf,
  type Deployment,
  deployments,
  keyOf,
  ownedBy,
  pods,
  type ReplicaSet,
  replicaSets,
  withTransitions,
} from './kinds.ts';
import type { Reconciler } from './reconciler.ts';
import { ownerKeys, type WorkloadDeps } from './replica-set.ts';
import { hashLabel, planScaling, rollingBounds, templateHash } from './rollout.ts';

const revisionAnnotation = 'deployment.kubernetes.io/revision';

export function deploymentReconciler({ api, clock }: WorkloadDeps): Reconciler {
  return {
    name: 'deployment',
    sources: [
      { resource: deployments, keysOf: (object) => [keyOf(object)] },
      { resource: replicaSets, keysOf: (object) => ownerKeys(object, 'Deployment') },
      // Recreate waits for the old pods to be gone, which no replica set's status shows.
      {
        resource: pods,
        keysOf: (pod) => {
          const set = api.get(replicaSets, pod.metadata.namespace, controllerOf(pod)?.name ?? '');
          return set === undefined ? [] : ownerKeys(set, 'Deployment');
        },
      },
    ],
    reconcile(namespace, name) {
      const deployment = api.get(deployments, namespace, name) as Deployment | undefined;
      if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined;
      const hash = roll(api, deployment);
      return writeStatus(api, namespace, name, hash, clock.now());
    },
  };
}

/** Takes the next step of a rollout. Gives the hash of the template that is being rolled out. */
function roll(api: Api, deployment: Deployment): string {
  const { paused, template, revisionHistoryLimit = 10 } = deployment.spec;
  const hash = templateHash(template);
  const sets = replicaSetsOf(api, deployment);
  const existing = sets.find((set) => isOfTemplate(set, hash));
  const others = sets.filter((set) => set !== existing);
  if (existing === undefined && paused === true) return hash;

  // A set that was used before and is wanted again (rollout undo) becomes the newest revision.
  const revision = Math.max(revisionOf(existing), ...others.map((set) => revisionOf(set) + 1), 1);
  const next = existing ?? (api.create(replicaSets, replicaSetFor(deployment, hash)) as ReplicaSet);
  writeRevision(api, replicaSets, next, revision);
  writeRevision(api, deployments, deployment, revision);
  if (paused === true) return hash;
  for (const [set, replicas] of planScaling(deployment, next, others, podsOwnedBy(api, others))) {
    const { namespace, name } = set.metadata;
    const current = api.get(replicaSets, namespace, name) as ReplicaSet;
    api.update(replicaSets, { ...current, spec: { ...current.spec, replicas } } as ReplicaSet);
  }
  const idle = others.filter(({ spec, status }) => !spec.replicas && !status?.replicas);
  const newestFirst = idle.toSorted((a, b) => revisionOf(b) - revisionOf(a));
  for (const { metadata } of newestFirst.slice(revisionHistoryLimit)) {
    api.delete(replicaSets, metadata.namespace, metadata.name);
  }
  return hash;
}

function isOfTemplate({ metadata }: ReplicaSet, hash: string): boolean {
  return metadata.labels?.[hashLabel] === hash;
}

function replicaSetsOf(api: Api, { metadata: { namespace = '', uid } }: Deployment): ReplicaSet[] {
  const items = api.list(replicaSets, { namespace }).items as readonly ReplicaSet[];
  return items.filter((set) => controllerOf(set)?.uid === uid && set.metadata.deletionTimestamp === undefined);
}

/** How many pods of the sets are there, those that are ending included. */
function podsOwnedBy(api: Api, sets: readonly ReplicaSet[]): number {
  const owners = new Set(sets.map((set) => set.metadata.uid));
  return api.list(pods).items.filter((pod) => owners.has(controllerOf(pod)?.uid)).length;
}

function revisionOf(object: Deployment | ReplicaSet | undefined): number {
  return Number(object?.metadata.annotations?.[revisionAnnotation] ?? 0);
}

function writeRevision(
  api: Api,
  resource: typeof deployments,
  { metadata }: Deployment | ReplicaSet,
  revision: number,
) {
  const current = api.get(resource, metadata.namespace, metadata.name) as Deployment;
  if (revisionOf(current) === revision) return;
  const annotations = { ...current.metadata.annotations, [revisionAnnotation]: String(revision) };
  api.update(resource, { ...current, metadata: { ...current.metadata, annotations } });
}

function replicaSetFor(deployment: Deployment, hash: string): ReplicaSet {
  const { name, namespace = '' } = deployment.metadata;
  const { template, selector, minReadySeconds = 0 } = deployment.spec;
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: `${name}-${hash}`, namespace, labels, ownerReferences: ownedBy(deployment) },
    spec: {
      replicas: 0,
      minReadySeconds,
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

function writeStatus(api: Api, namespace: string, name: string, hash: string, nowMs: number): number | undefined {
  const deployment = api.get(deployments, namespace, name) as Deployment;
  const sets = replicaSetsOf(api, deployment);
  const { status, againMs } = statusFor(
    deployment,
    sets.find((set) => isOfTemplate(set, hash)),
    sets,
    nowMs,
  );
  if (!isDeepStrictEqual(deployment.status, status)) api.update(deployments, { ...deployment, status }, 'status');
  return againMs;
}

type Progress = { readonly condition: DeploymentCondition; readonly againMs?: number };

/** What `kubectl rollout status` and the `Available` and `Progressing` conditions are read from. */
function statusFor(
  { metadata, spec, status: before }: Deployment,
  next: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  nowMs: number,
): { readonly status: DeploymentStatus; readonly againMs: number | undefined } {
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
  const isEnough = available >= desired - rollingBounds(spec.strategy?.rollingUpdate, desired).unavailable;
  const isComplete =
    next !== undefined && counts.updatedReplicas === desired && counts.replicas === desired && available >= desired;
  const deadlineMs = (spec.progressDeadlineSeconds ?? 600) * 1000;
  const { condition, againMs } = progressing(deadlineMs, isComplete, counts, before, nowMs);
  const availability: DeploymentCondition = {
    type: 'Available',
    status: isEnough ? 'True' : 'False',
    reason: isEnough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: `Deployment ${isEnough ? 'has' : 'does not have'} minimum availability.`,
  };
  const conditions = withTransitions(before?.conditions, [availability, condition], timestamp(nowMs));
  return { status: { ...counts, conditions }, againMs };
}

/** Progress is any change of the counts; without one for the deadline's length the rollout has failed, and says so. */
function progressing(
  deadlineMs: number,
  isComplete: boolean,
  counts: DeploymentStatus,
  { conditions, ...before }: DeploymentStatus = {},
  nowMs: number,
): Progress {
  const known = conditionOf(conditions, 'Progressing');
  const say = (status: string, reason: string, message: string): DeploymentCondition =>
    known?.reason === reason
      ? known
      : { type: 'Progressing', status, reason, message, lastUpdateTime: timestamp(nowMs) };
  if (isComplete) return { condition: say('True', 'NewReplicaSetAvailable', 'the ReplicaSet has progressed') };
  const isMoving = known?.reason === 'NewReplicaSetAvailable' || !isDeepStrictEqual(counts, before);
  const since = isMoving ? nowMs : Date.parse(known?.lastUpdateTime ?? timestamp(nowMs));
  const leftMs = since + deadlineMs - nowMs;
  if (leftMs <= 0)
    return { condition: say('False', 'ProgressDeadlineExceeded', 'the ReplicaSet has timed out progressing') };
  const condition = say('True', 'ReplicaSetUpdated', 'the ReplicaSet is progressing');
  return { condition: { ...condition, lastUpdateTime: timestamp(since) }, againMs: leftMs + 1000 };
}
