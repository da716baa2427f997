import type { Clock } from '@roundhouse/base';

/** Routers hear of a drain over the control stream in milliseconds; who came by the Service needs the endpoints' change. */
const graceMs = { connected: 500, alone: 2_000 };
/** Requests that take longer are cut; the kubelet would do it at 30 s by default, containers and all. */
const drainMs = 25_000;
const lookMs = 20;

export type DrainDeps = {
  readonly clock: Clock;
  readonly inFlight: () => number;
  /** Called once, first of all. */
  readonly onStart: () => void;
};

/** Ends the pod's traffic: says so, waits until the word is out and nothing is in flight. Once, however often it is asked. */
export function createDrain({ clock, inFlight, onStart }: DrainDeps) {
  let done: Promise<void> | undefined;
  let started = false;

  async function drain(connected: boolean) {
    const never = new AbortController().signal;
    const deadlineMs = clock.monotonic() + drainMs;
    started = true;
    onStart();
    await clock.sleep(connected ? graceMs.connected : graceMs.alone, never);
    while (inFlight() > 0 && clock.monotonic() < deadlineMs) await clock.sleep(lookMs, never);
  }

  return {
    get started() {
      return started;
    },
    run(connected: boolean): Promise<void> {
      done ??= drain(connected);
      return done;
    },
  };
}
