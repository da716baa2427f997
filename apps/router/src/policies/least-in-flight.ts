import type { Random } from '@roundhouse/base';
import type { Replica } from '../replica.ts';

/** A replica in another zone is preferred to one nearby that has more than twice its requests and these. */
const zoneSlack = 4;

/** The least busy of those nearby, unless they are much busier than those elsewhere, or none of them is usable. */
export function nearby(
  near: readonly Replica[],
  far: readonly Replica[],
  isUsable: (replica: Replica) => boolean,
  random: Random,
): Replica | undefined {
  const here = leastInFlight(near, isUsable, random);
  if (far.length === 0) return here;
  const there = leastInFlight(far, isUsable, random);
  if (here === undefined || there === undefined) return here ?? there;
  return here.upstream.inFlight > there.upstream.inFlight * 2 + zoneSlack ? there : here;
}

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
