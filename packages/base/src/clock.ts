// Not the global one: that is found anew, by a getter, each time somebody asks for the time.
import { performance } from 'node:perf_hooks';

/** Time as a value that is passed in, so that tests can hold it still. */
export type Clock = {
  /** Milliseconds since the epoch; may jump when the system's clock is set. For timestamps only. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. For durations and deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. The returned function cancels it. Timers never keep a process alive. */
  after(delayMs: number, callback: () => void): () => void;
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as the signal aborts. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
};

/** The longest delay that Node's timers take, in milliseconds; a longer one would fire at once. */
const delayMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(0, delayMs), delayMsMax));
    timer.unref();
    return () => clearTimeout(timer);
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(
        () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(Math.max(0, delayMs), delayMsMax),
      );
      signal.addEventListener('abort', onAbort, { once: true });
    });
  },
};

/** RFC 3339 in UTC with whole seconds, the form of Kubernetes' timestamps. */
export function timestamp(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
}
