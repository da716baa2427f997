import { type Backoff, backoffMs, type Clock, type Random } from '@roundhouse/base';

/**
 * Keys that wait for work. A key is in it once, however often it is added; while a key is worked on, adding it makes it come
 * again afterwards. It is bounded by the number of objects, since it holds nothing but keys.
 */
export type WorkQueue = {
  /** Now, whatever delay it had. */
  add(key: string): void;
  /** After `delayMs`, unless it comes earlier anyway. */
  addAfter(key: string, delayMs: number): void;
  /** Keys that could be taken now. */
  readonly waiting: number;
  /** The next key, for the one runner of this queue; undefined when there is none. Give it back with `done`. */
  take(): string | undefined;
  /** Ends the work on a key. A failed one comes again, later each time. */
  done(key: string, outcome: Outcome | 'failed'): void;
  /** Called whenever there may be something to take. */
  onReady(listener: () => void): void;
};

/** What is left to do about a key. Watches wake us for every change that they show. */
export type Outcome = { readonly kind: 'settled' } | { readonly kind: 'again'; readonly afterMs: number };

const defaultBackoff: Backoff = { firstMs: 50, maxMs: 60_000 };

export function createWorkQueue({
  clock,
  random,
  backoff = defaultBackoff,
}: {
  readonly clock: Clock;
  readonly random: Random;
  readonly backoff?: Backoff;
}): WorkQueue {
  const ready = new Set<string>(); // in the order of arrival
  const working = new Set<string>();
  const again = new Set<string>(); // added while worked on
  const delayed = new Map<string, { readonly atMs: number; readonly cancel: () => void }>();
  const failures = new Map<string, number>();
  let listener = () => {};

  const queue: WorkQueue = {
    add(key) {
      delayed.get(key)?.cancel();
      delayed.delete(key);
      if (working.has(key)) return void again.add(key);
      ready.add(key);
      listener();
    },
    addAfter(key, delayMs) {
      const atMs = clock.monotonic() + delayMs;
      const earlier = delayed.get(key);
      if (ready.has(key) || again.has(key) || (earlier !== undefined && earlier.atMs <= atMs)) return;
      earlier?.cancel();
      delayed.set(key, { atMs, cancel: clock.after(delayMs, () => queue.add(key)) });
    },
    get waiting() {
      return ready.size;
    },
    take() {
      const [key] = ready;
      if (key === undefined) return undefined;
      ready.delete(key);
      working.add(key);
      return key;
    },
    done(key, outcome) {
      working.delete(key);
      const attempt = outcome === 'failed' ? (failures.get(key) ?? 0) + 1 : 0;
      if (attempt === 0) failures.delete(key);
      else failures.set(key, attempt);
      if (again.delete(key)) return queue.add(key);
      if (outcome === 'failed') queue.addAfter(key, backoffMs(backoff, attempt, random));
      else if (outcome.kind === 'again') queue.addAfter(key, outcome.afterMs);
    },
    onReady(next) {
      listener = next;
    },
  };
  return queue;
}
