import { wire } from '@roundhouse/control-protocol';
import { describe, expect, it } from 'vitest';
import { copyFor, type Report } from './copy.ts';

const { FailureClass, ModelState } = wire;

const report = (state: wire.ModelState, failed: wire.ModelState): Report => {
  const times = { attempt: 2, timeMs: 1n, nextRetryMs: 2n };
  const failure = { class: FailureClass.TRANSIENT, reason: 'StorageUnavailable', message: 'no answer', ...times };
  const of = { name: 'iris', state, digest: 'd', servingDigest: '', memoryBytes: 0n };
  return { ...of, failure: { ...failure, state: failed } as wire.Failure };
};

describe('copyFor', () => {
  it.each([
    ['download', ModelState.DOWNLOADING, ModelState.DOWNLOAD_FAILED, 'DownloadFailed'],
    ['load', ModelState.LOADING, ModelState.LOAD_FAILED, 'LoadFailed'],
    ['load whose artifact is fetched anew', ModelState.DOWNLOADING, ModelState.LOAD_FAILED, 'LoadFailed'],
  ])('keeps the cause of a failed %s while it is tried again', (_what, state, failed, kind) => {
    const { failure } = copyFor('pod-1', report(state, failed), 'd');

    expect(failure).toMatchObject({ kind, reason: 'StorageUnavailable', message: 'no answer', nextRetryMs: 2 });
  });
});
