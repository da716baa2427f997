import type { Clock } from '@roundhouse/base';

/** A controller that restarts is back within this time; while it is away for longer, nothing new can have become ready. */
const absenceMs = 10_000;

export type Freshness = {
  /** Whether what is not in the table does not exist. Else the controller may have told others of it already. */
  readonly complete: boolean;
  /** The control stream opened, or was cut. */
  onConnection(connected: boolean): void;
  /** A snapshot is in the table. */
  onSnapshot(): void;
};

/** Knows whether the route table may lack something. `onComplete` is called whenever it is complete again, or taken to be. */
export function createFreshness(clock: Clock, onComplete: () => void): Freshness {
  let complete = false;
  let started = false;
  let cancel = () => {};

  const settle = () => {
    cancel();
    complete = true;
    onComplete();
  };

  return {
    get complete() {
      return complete;
    },
    onConnection(connected) {
      cancel();
      complete = false;
      if (!connected && started) cancel = clock.after(absenceMs, settle);
    },
    onSnapshot() {
      started = true;
      settle();
    },
  };
}
