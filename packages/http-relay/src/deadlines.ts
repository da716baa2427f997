import type { Clock } from '@roundhouse/base';

/** Something whose time may run out. `deadlineMs` is moved freely, at the cost of a store; `Infinity` means never. */
export type Timed = {
  deadlineMs: number;
  /** Where it is in the list; kept by `Deadlines`. */
  place: number;
  onDeadline(): void;
};

/** How late a deadline may be noticed: every limit here is seconds. */
const tickMs = 250;

/**
 * One timer for all deadlines of a relay: connections are few (10,000 are looked through in a fraction of a millisecond)
 * and their deadlines move with every request, so moving must cost nothing and looking may.
 */
export class Deadlines {
  /** The time at the last tick, in the clock's monotonic milliseconds. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #timed: Timed[] = [];
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = clock.monotonic();
  }

  add(timed: Timed): void {
    timed.place = this.#timed.push(timed) - 1;
    if (this.#cancel === undefined) {
      this.nowMs = this.#clock.monotonic();
      this.#cancel = this.#clock.after(tickMs, this.#tick);
    }
  }

  remove(timed: Timed): void {
    if (timed.place < 0) return;
    const place = timed.place;
    timed.place = -1;
    const last = this.#timed.pop()!;
    if (last === timed) return;
    this.#timed[place] = last;
    last.place = place;
  }

  /** A deadline `delayMs` from the last tick. */
  in(delayMs: number): number {
    return this.nowMs + delayMs;
  }

  readonly #tick = (): void => {
    this.nowMs = this.#clock.monotonic();
    // Backwards: whoever removes itself changes places only behind us.
    for (let i = this.#timed.length - 1; i >= 0; i--) {
      const timed = this.#timed[i];
      if (timed !== undefined && timed.deadlineMs <= this.nowMs) {
        timed.deadlineMs = Number.POSITIVE_INFINITY;
        timed.onDeadline();
      }
    }
    this.#cancel = this.#timed.length > 0 ? this.#clock.after(tickMs, this.#tick) : undefined;
  };
}
