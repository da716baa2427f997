import { type Backoff, backoffMs, type Clock, type Random } from '@roundhouse/base';
import { StorageError, unavailable } from './error.ts';
import type { StorageProvider, StoredObject } from './provider.ts';
import type { StorageUri } from './uri.ts';

export type TransferDeps = {
  readonly clock: Clock;
  readonly random: Random;
  /** A store that is silent for this long is given up. */
  readonly idleTimeoutMs: number;
};

/** Interruptions in a row that a transfer survives; the next one is for the caller's slower back-off. */
const resumesMax = 4;
/** After this much progress an interruption counts as the first again: a long transfer may be cut often. */
const progressBytes = 8 * 1024 * 1024;
const pause: Backoff = { firstMs: 100, maxMs: 2_000 };

/** All bytes of one listed object. Where a transfer breaks it is taken up again, and the size is checked at the end. */
export async function* readObject(
  { clock, random, idleTimeoutMs }: TransferDeps,
  provider: StorageProvider,
  uri: StorageUri,
  object: StoredObject,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  let failures = 0;
  for (;;) {
    const before = offset;
    const watch = watchdog(clock, idleTimeoutMs, signal);
    try {
      const stream = await provider.open(uri, object, { offset }, watch.signal);
      try {
        for await (const chunk of stream as AsyncIterable<Uint8Array>) {
          offset += chunk.length;
          watch.pause();
          yield chunk;
          watch.feed();
        }
      } finally {
        stream.on('error', () => {}).destroy();
      }
      checkSize(uri, object, offset);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const failure = unavailable(uri.text, watch.signal.aborted ? watch.signal.reason : error);
      if (failure.code !== 'storage/unavailable') throw failure;
      if (offset - before >= progressBytes) failures = 0;
      // Without a version, what comes next could be of another file.
      if (++failures > resumesMax || (offset > 0 && object.version === undefined)) throw failure;
      await clock.sleep(backoffMs(pause, failures, random), signal);
    } finally {
      watch.pause();
    }
  }
}

/** A listing under the same watch. */
export async function* listObjects(
  { clock, idleTimeoutMs }: TransferDeps,
  provider: StorageProvider,
  uri: StorageUri,
  signal: AbortSignal,
): AsyncGenerator<StoredObject, void, undefined> {
  const watch = watchdog(clock, idleTimeoutMs, signal);
  try {
    for await (const object of provider.list(uri, watch.signal)) {
      watch.feed();
      yield object;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw unavailable(uri.text, watch.signal.aborted ? watch.signal.reason : error);
  } finally {
    watch.pause();
  }
}

function checkSize({ text }: StorageUri, { path, sizeBytes }: StoredObject, got: number) {
  if (sizeBytes === undefined || got === sizeBytes) return;
  const what = `${path} of ${text} has ${got} bytes where the listing says ${sizeBytes}`;
  throw new StorageError(got < sizeBytes ? 'unavailable' : 'changed', what);
}

/** A signal that also aborts when nobody has fed the watch for `timeoutMs`. The time that we take ourselves is paused. */
function watchdog(clock: Clock, timeoutMs: number, signal: AbortSignal) {
  const controller = new AbortController();
  const bark = () =>
    controller.abort(new StorageError('unavailable', `the store sent nothing for ${Math.round(timeoutMs / 1000)} s`));
  let cancel = clock.after(timeoutMs, bark);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    feed() {
      cancel();
      cancel = clock.after(timeoutMs, bark);
    },
    pause: () => cancel(),
  };
}
