import { type Clock, messageOf, type Random, within } from '@roundhouse/base';
import type { Kube } from './kube.ts';
import { isKubeError } from './kube-error.ts';
import type { KubeLog } from './log.ts';
import type { KubeObject, Resource } from './object.ts';

export type LeaderElectionOptions = {
  readonly namespace: string;
  readonly name: string;
  /**
   * Of the pod, and the same after a restart of its container (such as `<pod name>_<pod uid>`): a container that starts
   * again is surely the only one, and takes back at once what its predecessor held.
   */
  readonly identity: string;
  /** How long others wait for a holder that says nothing. */
  readonly leaseMs?: number;
  /**
   * Leads, until `signal` aborts: because the Lease is lost, or because this process is to stop. The Lease is kept until the
   * promise settles, as long as that takes less than the Lease itself.
   */
  onElected(epoch: number, signal: AbortSignal): Promise<void>;
};

type Lease = KubeObject & {
  readonly spec: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly leaseTransitions?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
  };
};

const leases: Resource = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };

const defaultLeaseMs = 15_000;
const requestMsMax = 5_000;

/**
 * Takes part in the election until `signal` aborts. Epochs only grow: each term has a higher one than all before, also when
 * the same process leads again.
 */
export async function runLeaderElection(
  deps: { readonly kube: Kube; readonly clock: Clock; readonly random: Random; readonly log: KubeLog },
  { namespace, name, identity, leaseMs = defaultLeaseMs, onElected }: LeaderElectionOptions,
  signal: AbortSignal,
): Promise<void> {
  const { kube, clock, random, log } = deps;
  const pollMs = leaseMs / 15;
  let seen: { readonly version: string | undefined; readonly atMs: number } | undefined;

  const leaseFor = (lease: Lease | undefined, epoch: number, acquireTime: string): Lease => ({
    ...lease,
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...lease?.metadata, namespace, name },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      leaseTransitions: epoch,
      acquireTime,
      renewTime: microTime(clock.now()),
    },
  });

  /** The Lease as it is now ours; undefined when somebody else has it. */
  const acquire = async (): Promise<Lease | undefined> => {
    const within5s = within(Math.min(requestMsMax, leaseMs / 3), signal);
    const lease = await kube.get<Lease>(leases, { namespace, name }, within5s);
    const now = microTime(clock.now());
    if (lease === undefined) {
      // Minutes, not one: if somebody deletes the Lease, its next epoch must still be higher than all that agents saw.
      return await kube.create(leases, leaseFor(undefined, Math.floor(clock.now() / 60_000), now), within5s);
    }
    const { holderIdentity = '', leaseDurationSeconds = leaseMs / 1000, leaseTransitions = 0 } = lease.spec ?? {};
    const version = lease.metadata.resourceVersion;
    // By our own clock, from when we saw it: clocks of two nodes may differ.
    if (seen === undefined || seen.version !== version) seen = { version, atMs: clock.monotonic() };
    const expired = clock.monotonic() - seen.atMs >= leaseDurationSeconds * 1000;
    if (holderIdentity !== '' && holderIdentity !== identity && !expired) return undefined;
    return await kube.replace(leases, leaseFor(lease, leaseTransitions + 1, now), within5s);
  };

  const lead = async (acquired: Lease) => {
    let lease = acquired;
    const epoch = lease.spec.leaseTransitions ?? 0;
    const lost = new AbortController();
    const over = new AbortController();
    let renewedMs = clock.monotonic();
    const deadlineMs = (leaseMs * 2) / 3;

    const renew = async () => {
      for (;;) {
        await clock.sleep(pollMs * 2, over.signal);
        const leftMs = deadlineMs - (clock.monotonic() - renewedMs);
        if (leftMs <= 0) return lost.abort(new Error('the Lease could not be renewed in time'));
        try {
          const sentMs = clock.monotonic();
          const next = leaseFor(lease, epoch, lease.spec.acquireTime ?? microTime(clock.now()));
          lease = await kube.replace(leases, next, within(Math.min(requestMsMax, leftMs), over.signal));
          renewedMs = sentMs;
        } catch (error) {
          if (over.signal.aborted) return;
          if (!isKubeError(error, 'unavailable')) {
            // Changed by somebody: only the holder writes a Lease that has not expired, unless it was only annotated.
            const now = await kube.get<Lease>(leases, { namespace, name }, over.signal).catch(() => lease);
            const ours = now?.spec.holderIdentity === identity && now.spec.leaseTransitions === epoch;
            if (now === undefined || !ours) return lost.abort(new Error('another process holds the Lease'));
            lease = now;
          }
          log.warn({ reason: messageOf(error) }, 'the Lease was not renewed');
        }
      }
    };

    log.info({ epoch, identity }, 'elected');
    const renewing = renew().catch(() => {});
    try {
      await onElected(epoch, AbortSignal.any([signal, lost.signal]));
    } finally {
      over.abort(new Error('the term is over'));
      await renewing;
      if (lost.signal.aborted) log.warn({ epoch, reason: messageOf(lost.signal.reason) }, 'deposed');
      else await release(lease, epoch);
    }
  };

  /** So that the next one need not wait. */
  const release = async (lease: Lease, epoch: number) => {
    const free = leaseFor(lease, epoch, lease.spec.acquireTime ?? '');
    try {
      const released = { ...free, spec: { ...free.spec, holderIdentity: '', leaseDurationSeconds: 1 } };
      await kube.replace(leases, released, AbortSignal.timeout(requestMsMax));
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'the Lease was not released; the next leader waits until it expires');
    }
  };

  while (!signal.aborted) {
    const acquired = await acquire().catch((error: unknown) => {
      const lostRace = isKubeError(error, 'conflict') || isKubeError(error, 'already-exists');
      if (!signal.aborted && !lostRace) log.warn({ reason: messageOf(error) }, 'cannot take part in the election');
      return undefined;
    });
    if (acquired !== undefined) {
      await lead(acquired);
      seen = undefined;
    }
    await clock.sleep(pollMs * (0.5 + random()), signal).catch(() => {});
  }
}

/** Kubernetes' MicroTime takes six digits exactly. */
function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}
