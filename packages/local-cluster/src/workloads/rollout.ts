import { createHash } from 'node:crypto';
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import type { Deployment, ReplicaSet } from './kinds.ts';

export const hashLabel = 'pod-template-hash';

/** How many pods each of a deployment's replica sets is to have next. Sets that stay as they are do not appear. */
export type Scaling = ReadonlyMap<ReplicaSet, number>;

/**
 * The next step of a rollout, from what is: `next` is the set of the current template, `others` the older ones, and
 * `podsOfOthers` how many of their pods are still there, those that are ending included.
 */
export function planScaling(
  { spec }: Deployment,
  next: ReplicaSet,
  others: readonly ReplicaSet[],
  podsOfOthers: number,
): Scaling {
  const desired = spec.replicas ?? 1;
  const scaling = new Map<ReplicaSet, number>();
  const replicasOf = (set: ReplicaSet) => scaling.get(set) ?? set.spec.replicas ?? 0;
  const scale = (set: ReplicaSet, replicas: number) => {
    if (replicas !== replicasOf(set)) scaling.set(set, replicas);
  };
  if (spec.strategy?.type === 'Recreate') {
    for (const set of others) scale(set, 0);
    if (podsOfOthers === 0) scale(next, desired);
    return scaling;
  }
  const { surge, unavailable } = rollingBounds(spec.strategy?.rollingUpdate, desired);
  const total = [next, ...others].reduce((sum, set) => sum + replicasOf(set), 0);
  if (replicasOf(next) > desired) scale(next, desired);
  else scale(next, Math.min(desired, replicasOf(next) + Math.max(0, desired + surge - total)));

  // What may go: pods beyond the minimum that must stay available; those that serve nobody go first.
  const availableOf = (set: ReplicaSet) => Math.min(set.status?.availableReplicas ?? 0, set.spec.replicas ?? 0);
  let spare = [next, ...others].reduce((sum, set) => sum + availableOf(set), 0) - (desired - unavailable);
  for (const set of others) {
    const idle = replicasOf(set) - availableOf(set);
    const going = Math.min(availableOf(set), Math.max(0, spare));
    spare -= going;
    scale(set, replicasOf(set) - idle - going);
  }
  return scaling;
}

type RollingUpdate = { readonly maxSurge?: number | string; readonly maxUnavailable?: number | string };

/** Percentages round up for the surge and down for what may be missing; both zero would stand still for ever. */
export function rollingBounds({ maxSurge = '25%', maxUnavailable = '25%' }: RollingUpdate = {}, desired: number) {
  const share = (value: number | string, round: (n: number) => number) =>
    typeof value === 'number' ? value : round((Number.parseFloat(value) / 100) * desired);
  const surge = share(maxSurge, Math.ceil);
  const unavailable = share(maxUnavailable, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

const hashAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** A name for the template's content that does not depend on the order of its fields. */
export function templateHash(template: PodTemplateSpec): string {
  const digest = createHash('sha256').update(canonicalJson(template)).digest();
  return Array.from(digest.subarray(0, 10), (byte) => hashAlphabet[byte % hashAlphabet.length]).join('');
}

/** Fields in one order and without those that say nothing: clients write `creationTimestamp: null` and `resources: {}`, or not. */
function canonicalJson(value: unknown): string {
  const saysNothing = (inner: unknown) =>
    inner === null || (typeof inner === 'object' && Object.keys(inner).length === 0);
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(
          Object.entries(inner)
            .filter(([, field]) => !saysNothing(field))
            .sort(([a], [b]) => (a < b ? -1 : 1)),
        )
      : inner,
  );
}
