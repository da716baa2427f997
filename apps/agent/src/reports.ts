import type { ModelReportFields } from '@roundhouse/control-protocol';
import { wire } from '@roundhouse/control-protocol';
import type { Entry } from './entry.ts';
import { type Failure, type FailureClass, type ModelState, versionOf } from './model.ts';
import { stateOf } from './plan.ts';

const states: Readonly<Record<ModelState, wire.ModelState>> = {
  pending: wire.ModelState.PENDING,
  downloading: wire.ModelState.DOWNLOADING,
  downloaded: wire.ModelState.DOWNLOADED,
  loading: wire.ModelState.LOADING,
  loaded: wire.ModelState.LOADED,
  draining: wire.ModelState.DRAINING,
  unloading: wire.ModelState.UNLOADING,
  'download-failed': wire.ModelState.DOWNLOAD_FAILED,
  'load-failed': wire.ModelState.LOAD_FAILED,
};

const classes: Readonly<Record<FailureClass, wire.FailureClass>> = {
  transient: wire.FailureClass.TRANSIENT,
  denied: wire.FailureClass.DENIED,
  'not-found': wire.FailureClass.NOT_FOUND,
  invalid: wire.FailureClass.INVALID,
  'no-space': wire.FailureClass.NO_SPACE,
};

/** What the controller hears of one model. */
export function reportOf(entry: Readonly<Entry>): ModelReportFields {
  const { name, wanted, loaded, failure, bytesDone, bytesTotal } = entry;
  const digest = wanted?.digest ?? '';
  // A version that is not the wanted one has no digest that the controller knows: its own name tells them apart.
  const serving = wanted !== undefined && loaded === versionOf(wanted) ? digest : (loaded ?? '');
  return {
    name,
    state: states[stateOf(entry)],
    digest,
    servingDigest: serving,
    ...(failure !== undefined && { failure: failureReport(failure) }),
    bytesDone: BigInt(bytesDone),
    bytesTotal: BigInt(bytesTotal),
  };
}

function failureReport(failure: Failure) {
  return {
    class: classes[failure.class],
    reason: failure.reason,
    message: failure.message,
    attempt: failure.attempt,
    timeMs: BigInt(Math.floor(failure.atEpochMs)),
    nextRetryMs: BigInt(failure.retryEpochMs ?? 0),
    state: states[failure.stage === 'download' ? 'download-failed' : 'load-failed'],
  };
}
