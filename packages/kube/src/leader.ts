import { type Clock, messageOf, type Random } from '@roundhouse/base';
import { isKubeError } from './errors.ts';
import type { Kube } from './kube.ts';
import type { KubeObject, Resource } from './object.ts';

export type LeaderDeps = {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly random: Random;
  readonly onTrouble: (message: string) => void;
};

export type LeaderOptions = {
  readonly namespace: string;
  readonly name: string;
  /**
   * The same after a restart of the same container, another for every other: whoever finds its own name in the Lease takes it at
   * once, since two containers of one pod never run at the same time.
   */
  readonly identity: string;
};

const leases: Resource = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };

/** The usual times of Kubernetes' own controllers: a leader gives up well before another may take over. */
const leaseMs = 15_000;
const renewMs = 5_000;
const renewDeadlineMs = 10_000;
const retryMs = 2_000;

type LeaseSpec = {
  readonly holderIdentity?: string;
  readonly leaseTransitions?: number;
  readonly renewTime?: string;
};

/**
 * Waits until it holds the Lease, then runs `lead` until that ends, `signal` aborts, or the Lease is lost, which aborts the
 * signal that `lead` got. The epoch grows with every new holder (the Lease's transitions), so that messages of an older one can be
 * told apart. A Lease that was not lost is given back at the end. Resolves with whether it was lost.
 */
export async function runAsLeader(
  deps: LeaderDeps,
  options: LeaderOptions,
  lead: (epoch: number, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<{ readonly lost: boolean }> {
  const held = await acquire(deps, options, signal);
  if (held === undefined) return { lost: false };
  const term = new AbortController();
  const leading = AbortSignal.any([signal, term.signal]);
  const ended = new AbortController();
  const renewing = renew(deps, options, held, AbortSignal.any([leading, ended.signal])).then((lease) => {
    if (lease === undefined) term.abort(new Error('the Lease is lost'));
    return lease;
  });
  try {
    await lead(epochOf(held), leading);
  } finally {
    ended.abort();
    const lease = await renewing;
    if (lease !== undefined) await release(deps, lease);
  }
  return { lost: term.signal.aborted };
}

async function acquire(deps: LeaderDeps, options: LeaderOptions, signal: AbortSignal): Promise<KubeObject | undefined> {
  let seen: { readonly renewTime: string | undefined; readonly atMs: number } | undefined;
  while (!signal.aborted) {
    try {
      const lease = await deps.kube.get(leases, options.namespace, options.name, signal);
      if (lease === undefined) return await deps.kube.create(leases, leaseFor(deps, options, undefined), signal);
      const { holderIdentity = '', renewTime } = specOf(lease);
      if (seen === undefined || seen.renewTime !== renewTime) seen = { renewTime, atMs: deps.clock.monotonic() };
      // Judged by our own clock since the last change: the holder's clock may be wrong.
      const isStale = deps.clock.monotonic() - seen.atMs >= leaseMs;
      if (holderIdentity === '' || holderIdentity === options.identity || isStale) {
        return await deps.kube.replace(leases, leaseFor(deps, options, lease), signal);
      }
    } catch (error) {
      if (signal.aborted) return undefined;
      // Somebody else was faster, or the API server is away: look again.
      if (!isKubeError(error, 'kube/conflict') && !isKubeError(error, 'kube/already-exists')) {
        deps.onTrouble(`the Lease ${options.name}: ${messageOf(error)}`);
      }
    }
    await deps.clock.sleep(retryMs * (0.5 + deps.random()), signal).catch(() => {});
  }
  return undefined;
}

/** Renews until `signal` aborts; resolves with the Lease as last written, or undefined when it is lost. */
async function renew(deps: LeaderDeps, options: LeaderOptions, first: KubeObject, signal: AbortSignal) {
  let lease = first;
  let renewedAtMs = deps.clock.monotonic();
  while (!signal.aborted) {
    await deps.clock.sleep(renewMs, signal).catch(() => {});
    if (signal.aborted) return lease;
    try {
      const now = { ...specOf(lease), renewTime: microTime(deps.clock) };
      lease = await deps.kube.replace(leases, { ...lease, spec: now }, signal);
      renewedAtMs = deps.clock.monotonic();
    } catch (error) {
      if (signal.aborted) return lease;
      deps.onTrouble(`renewing the Lease ${options.name}: ${messageOf(error)}`);
      if (isKubeError(error, 'kube/conflict')) return undefined;
      if (deps.clock.monotonic() - renewedAtMs > renewDeadlineMs) return undefined;
    }
  }
  return lease;
}

/** Lets the next one begin at once. When it cannot be told, the Lease runs out by itself. */
async function release({ kube, clock, onTrouble }: LeaderDeps, lease: KubeObject): Promise<void> {
  const spec = { ...specOf(lease), holderIdentity: '', renewTime: microTime(clock) };
  try {
    await kube.replace(leases, { ...lease, spec }, AbortSignal.timeout(releaseMsMax));
  } catch (error) {
    onTrouble(`giving the Lease back: ${messageOf(error)}`);
  }
}

/** Shutting down waits no longer than this for an API server that may be going down too. */
const releaseMsMax = 2_000;

function leaseFor(
  { clock }: LeaderDeps,
  { namespace, name, identity }: LeaderOptions,
  current: KubeObject | undefined,
) {
  const now = microTime(clock);
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: current?.metadata ?? { namespace, name },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: leaseMs / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: current === undefined ? 1 : epochOf(current) + 1,
    },
  };
}

function epochOf(lease: KubeObject): number {
  return specOf(lease).leaseTransitions ?? 0;
}

function specOf(lease: KubeObject): LeaseSpec {
  return (lease.spec ?? {}) as LeaseSpec;
}

/** Kubernetes' MicroTime: RFC 3339 with six decimals. */
function microTime(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace('Z', '000Z');
}
