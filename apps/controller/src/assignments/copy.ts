import { wire } from '@roundhouse/control-protocol';
import type { CopyView, FailureView } from '../trained-model/status.ts';

const { ModelState, FailureClass } = wire;

/** A report as it came over the stream. */
export type Report = Pick<wire.ModelReport, 'name' | 'state' | 'digest' | 'servingDigest' | 'failure' | 'memoryBytes'>;

const stages: Readonly<Record<wire.ModelState, CopyView['stage']>> = {
  [ModelState.UNSPECIFIED]: 'pending',
  [ModelState.PENDING]: 'pending',
  [ModelState.DOWNLOADING]: 'downloading',
  [ModelState.DOWNLOADED]: 'loading',
  [ModelState.LOADING]: 'loading',
  [ModelState.LOADED]: 'loaded',
  [ModelState.PAGED_OUT]: 'loaded',
  [ModelState.DRAINING]: 'leaving',
  [ModelState.UNLOADING]: 'leaving',
  [ModelState.DOWNLOAD_FAILED]: 'failed',
  [ModelState.LOAD_FAILED]: 'failed',
};

/** Whether the replica answers requests for the model, be it paged out or an older version. */
export function answers({ state, servingDigest }: Report): boolean {
  return servingDigest !== '' || state === ModelState.PAGED_OUT || state === ModelState.LOADED;
}

/** One replica's report in the words of status; `wanted` is the digest that it should serve. */
export function copyFor(pod: string, report: Report | undefined, wanted: string): CopyView {
  if (report === undefined) return { pod, stage: 'pending', answers: false, current: false, failure: undefined };
  const { state, digest, servingDigest, failure } = report;
  const stage = stages[state];
  return {
    pod,
    stage,
    answers: answers(report) && stage !== 'leaving',
    current: digest === wanted && (stage === 'loaded' || servingDigest === wanted),
    failure: failure === undefined ? undefined : failureFor(failure),
  };
}

/** It tells by itself what failed: the model's state moves on when it is tried again. */
function failureFor(failure: wire.Failure): FailureView {
  const { reason, message, attempt, timeMs, nextRetryMs, state, class: kind } = failure;
  return {
    kind: state === ModelState.LOAD_FAILED ? 'LoadFailed' : 'DownloadFailed',
    reason: reason === '' ? FailureClass[kind] : reason,
    message,
    attempt,
    timeMs: Number(timeMs),
    nextRetryMs: nextRetryMs === 0n ? undefined : Number(nextRetryMs),
  };
}
