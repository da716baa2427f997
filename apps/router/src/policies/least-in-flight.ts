import type { Random } from '@roundhouse/base';
import type { Replica } from '../replica.ts';

/**
 * Two at random, and of these the one with fewer requests in flight: nearly as even as asking all, and herds of routers do
 * not run to the same replica. Where one of the two is not usable, the least busy of all that are. Undefined when none is.
 */
export function leastInFlight(
  replicas: readonly Replica[],
  isUsable: (replica: Replica) => boolean,
  random: Random,
): Replica | undefined {
  const count = replicas.length;
  if (count > 1) {
    const i = Math.floor(random() * count);
    const j = (i + 1 + Math.floor(random() * (count - 1))) % count;
    const one = replicas[i]!;
    const other = replicas[j]!;
    if (isUsable(one) && isUsable(other)) return other.upstream.inFlight < one.upstream.inFlight ? other : one;
  }
  let best: Replica | undefined;
  for (const replica of replicas) {
    if (!isUsable(replica)) continue;
    if (best === undefined || replica.upstream.inFlight < best.upstream.inFlight) best = replica;
  }
  return best;
}
