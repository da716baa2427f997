import { type Backoff, backoffMs, type Clock, type Random } from '@roundhouse/base';

/** Keys to work on: each at most once in the queue, one worker per key, and again with back-off after a failure. */
export type WorkQueue = {
  /** Works on `key` after `afterMs` (0: now); an earlier time that is already set stays. */
  add(key: string, afterMs?: number): void;
  /** Resolves once `signal` has aborted and what was under way has ended. */
  readonly ended: Promise<void>;
};

export type WorkQueueDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly onFailure: (key: string, error: unknown, attempt: number, retryMs: number) => void;
};

/** Enough that one slow key does not hold up the others, few enough to go easy on the API server. */
const concurrencyMax = 16;

const retry: Backoff = { firstMs: 50, maxMs: 60_000 };

export function createWorkQueue(
  { clock, random, onFailure }: WorkQueueDeps,
  handle: (key: string, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): WorkQueue {
  const due = new Set<string>();
  const later = new Map<string, { readonly atMs: number; readonly cancel: () => void }>();
  const running = new Set<string>();
  const failures = new Map<string, number>();
  let finish = () => {};
  const ended = new Promise<void>((resolve) => {
    finish = resolve;
  });

  const add = (key: string, afterMs = 0) => {
    if (signal.aborted || due.has(key)) return;
    const atMs = clock.monotonic() + afterMs;
    const planned = later.get(key);
    if (planned !== undefined && planned.atMs <= atMs) return;
    planned?.cancel();
    later.delete(key);
    if (afterMs <= 0) {
      due.add(key);
      pump();
      return;
    }
    const cancel = clock.after(afterMs, () => {
      later.delete(key);
      due.add(key);
      pump();
    });
    later.set(key, { atMs, cancel });
  };

  /** Starts what may start. A key that is being worked on waits until that has ended. */
  const pump = () => {
    if (signal.aborted) return;
    for (const key of due) {
      if (running.size >= concurrencyMax) return;
      if (running.has(key)) continue;
      due.delete(key);
      running.add(key);
      void work(key);
    }
  };

  const work = async (key: string) => {
    try {
      await handle(key, signal);
      failures.delete(key);
    } catch (error) {
      if (!signal.aborted) retryLater(key, error);
    } finally {
      running.delete(key);
      if (signal.aborted && running.size === 0) finish();
      pump();
    }
  };

  const retryLater = (key: string, error: unknown) => {
    const attempt = (failures.get(key) ?? 0) + 1;
    failures.set(key, attempt);
    const retryMs = backoffMs(retry, attempt, random);
    onFailure(key, error, attempt, retryMs);
    add(key, retryMs);
  };

  signal.addEventListener('abort', () => {
    for (const { cancel } of later.values()) cancel();
    if (running.size === 0) finish();
  });
  return { add, ended };
}
