import type { Replica } from '../replica.ts';

/**
 * `replicas` in the order in which they should be asked to load `model`: the same in every router, spread evenly over
 * models, and of each model only the part that named a lost replica changes (highest random weight).
 */
export function rendezvousOrder(model: string, replicas: readonly Replica[]): Replica[] {
  return replicas
    .map((replica) => ({ replica, weight: weightOf(`${model}\0${replica.id}`) }))
    .sort((a, b) => b.weight - a.weight || (a.replica.id < b.replica.id ? -1 : 1))
    .map(({ replica }) => replica);
}

/** FNV-1a with a final mix, so that ids which differ in their last character are far apart. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
