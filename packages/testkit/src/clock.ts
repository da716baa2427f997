import type { Clock } from '@roundhouse/base';

export type StepClock = Clock & {
  /** Moves time on, firing timers in order. Callbacks' promises are not awaited: await something that they cause. */
  advance(ms: number): void;
  /** Timers that have not fired. */
  readonly pending: number;
};

/** A clock that stands still until told to move. */
export function stepClock(startMs = Date.UTC(2026, 0, 1)): StepClock {
  let elapsed = 0;
  let sequence = 0;
  const timers = new Map<number, { readonly at: number; readonly callback: () => void }>();

  const clock: StepClock = {
    now: () => startMs + elapsed,
    monotonic: () => elapsed,
    after(delayMs, callback) {
      const id = sequence++;
      timers.set(id, { at: elapsed + Math.max(0, delayMs), callback });
      return () => timers.delete(id);
    },
    sleep(delayMs, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const cancel = clock.after(delayMs, resolve);
        signal.addEventListener('abort', () => {
          cancel();
          reject(signal.reason);
        });
      });
    },
    advance(ms) {
      const end = elapsed + ms;
      for (;;) {
        const due = [...timers]
          .filter(([, timer]) => timer.at <= end)
          .sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
        if (due === undefined) break;
        elapsed = Math.max(elapsed, due[1].at);
        timers.delete(due[0]);
        due[1].callback();
      }
      elapsed = end;
    },
    get pending() {
      return timers.size;
    },
  };
  return clock;
}
