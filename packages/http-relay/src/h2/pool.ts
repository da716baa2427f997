import type { Address } from '../address.ts';
import type { SessionDeps } from './session.ts';
import { UpstreamSession } from './upstream-session.ts';

/** Connections to one upstream: with 100 streams each, more requests than one model server takes. */
const sessionsMax = 16;

/** The connections to one upstream. */
export class Pool {
  readonly #deps: SessionDeps;
  readonly #address: Address;
  readonly #onEmpty: () => void;
  readonly #sessions = new Set<UpstreamSession>();
  #retired = false;

  /** `onEmpty`: it is retired, and its last connection is gone. */
  constructor(deps: SessionDeps, address: Address, onEmpty: () => void) {
    this.#deps = deps;
    this.#onEmpty = onEmpty;
    this.#address = address;
  }

  /** A connection with room for one more stream: the first that has, so that few are used. Undefined when all are full. */
  session(): UpstreamSession | undefined {
    for (const session of this.#sessions) if (session.free) return session;
    if (this.#sessions.size >= sessionsMax) return undefined;
    const session = new UpstreamSession(this.#deps, this.#address, (closed) => this.#forget(closed));
    this.#sessions.add(session);
    if (this.#retired) session.retire();
    return session;
  }

  /** No more requests: each connection goes after its last. */
  retire(): void {
    this.#retired = true;
    for (const session of this.#sessions) session.retire();
    if (this.#sessions.size === 0) this.#onEmpty();
  }

  #forget(session: UpstreamSession): void {
    this.#sessions.delete(session);
    if (this.#retired && this.#sessions.size === 0) this.#onEmpty();
  }

  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }
}
