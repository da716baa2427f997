import { type Backoff, backoffMs, CodedError, messageOf, type Random, systemCodeOf } from '@roundhouse/base';
import type { Failure, FailureClass } from './model.ts';

type Policy = Backoff & { readonly attemptsMax: number };

/** How each class is retried: outages without end, what a person must repair slowly, what cannot heal a few times. */
const policies: Readonly<Record<FailureClass, Policy>> = {
  transient: { firstMs: 500, maxMs: 60_000, attemptsMax: Number.POSITIVE_INFINITY },
  denied: { firstMs: 2_000, maxMs: 120_000, attemptsMax: Number.POSITIVE_INFINITY },
  'not-found': { firstMs: 2_000, maxMs: 120_000, attemptsMax: Number.POSITIVE_INFINITY },
  invalid: { firstMs: 1_000, maxMs: 10_000, attemptsMax: 3 },
  'no-space': { firstMs: 5_000, maxMs: 60_000, attemptsMax: Number.POSITIVE_INFINITY },
};

const classes: Readonly<Record<string, readonly [FailureClass, string]>> = {
  'storage/not-found': ['not-found', 'ArtifactNotFound'],
  'storage/denied': ['denied', 'StorageDenied'],
  'storage/unavailable': ['transient', 'StorageUnavailable'],
  'storage/changed': ['transient', 'ArtifactChanged'],
  'storage/invalid': ['invalid', 'ArtifactInvalid'],
  'storage/invalid-uri': ['invalid', 'StorageUriInvalid'],
  'storage/refused': ['invalid', 'StorageRefused'],
  'storage/no-space': ['no-space', 'NoSpace'],
  'agent/name': ['invalid', 'NameInvalid'],
  'server/busy': ['transient', 'ServerBusy'],
  'server/broke-off': ['transient', 'ServerBrokeOff'],
  'server/unreachable': ['transient', 'ServerUnreachable'],
  'server/no-space': ['no-space', 'NoSpace'],
  'server/rejected': ['invalid', 'ModelRejected'],
};

type Circumstances = {
  readonly stage: Failure['stage'];
  readonly digest: string;
  /** The failure before this one, if it stands. */
  readonly previous: Failure | undefined;
  readonly nowMs: number;
  readonly epochMs: number;
};

/** What went wrong, and when to try again. Attempts count on while the same model fails in the same stage. */
export function failureOf(error: unknown, at: Circumstances, random: Random): Failure {
  const code = error instanceof CodedError ? error.code : '';
  const space = systemCodeOf(error) === 'ENOSPC' || systemCodeOf(error) === 'EDQUOT';
  const [failureClass, reason] = space
    ? (['no-space', 'NoSpace'] as const)
    : (classes[code] ?? (['transient', at.stage === 'download' ? 'DownloadFailed' : 'LoadFailed'] as const));
  const before = at.previous?.digest === at.digest && at.previous.stage === at.stage ? at.previous.attempt : 0;
  const attempt = before + 1;
  const policy = policies[failureClass];
  const delayMs = attempt < policy.attemptsMax ? backoffMs(policy, attempt, random) : Number.POSITIVE_INFINITY;
  return {
    stage: at.stage,
    digest: at.digest,
    class: failureClass,
    reason,
    message: code === '' ? messageOf(error) : `${code}: ${messageOf(error)}`,
    attempt,
    atEpochMs: at.epochMs,
    retryAtMs: at.nowMs + delayMs,
    retryEpochMs: delayMs === Number.POSITIVE_INFINITY ? undefined : Math.ceil(at.epochMs + delayMs),
  };
}
