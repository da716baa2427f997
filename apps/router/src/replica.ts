import { type Backoff, backoffMs, type Clock, type Random } from '@roundhouse/base';
import type { Failure, Upstream } from '@roundhouse/http-relay';

export type ReplicaDeps = {
  readonly clock: Clock;
  readonly random: Random;
  /** It takes requests again. */
  readonly onReturn: (replica: Replica) => void;
};

/** An agent that restarts is back within a second: look often at first. */
const probing: Backoff = { firstMs: 50, maxMs: 1_000 };

/** Requests in a row that were taken and not answered, after which the replica gets a rest even though it can be reached. */
const failuresMax = 3;
const restMs = 1_000;

/** One pod that serves: where it is, and whether it can be reached, as far as our own requests tell. */
export class Replica {
  readonly id: string;
  readonly address: string;
  readonly upstream: Upstream;
  /** Just this one: what thousands of models with one copy have in common. */
  readonly alone: readonly Replica[] = [this];
  draining = false;
  zone = '';
  /** Nothing is sent to it until a connection succeeds. */
  ejected = false;
  readonly #deps: ReplicaDeps;
  #failures = 0;
  #gone = false;

  constructor(deps: ReplicaDeps, id: string, address: string, upstream: Upstream) {
    this.#deps = deps;
    this.id = id;
    this.address = address;
    this.upstream = upstream;
  }

  get usable(): boolean {
    return !this.ejected && !this.draining;
  }

  onAnswer(): void {
    this.#failures = 0;
  }

  onFailure(failure: Failure): void {
    if (failure === 'not-here' || this.ejected || this.#gone) return;
    // A connection that breaks under a request is how a process dies: what follows at once would break too.
    if (failure === 'connect' || failure === 'reset') this.#eject(1, probing.firstMs);
    else if (++this.#failures >= failuresMax) this.#eject(1, restMs);
  }

  /** It is not in the table any more; its requests in flight finish. */
  retire(): void {
    this.#gone = true;
    this.upstream.retire();
  }

  #eject(attempt: number, delayMs: number): void {
    this.ejected = true;
    this.#deps.clock.after(delayMs, () => {
      if (this.#gone) return;
      this.upstream.probe((connected) => {
        if (this.#gone) return;
        if (!connected) return this.#eject(attempt + 1, backoffMs(probing, attempt + 1, this.#deps.random));
        this.ejected = false;
        this.#failures = 0;
        this.#deps.onReturn(this);
      });
    });
  }
}
