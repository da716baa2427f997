import { connect, type Socket } from 'node:net';
import type { Address } from '../address.ts';
import type { OwnField } from '../own-field.ts';
import { readInto } from '../reads.ts';
import { codes, preface } from './frames.ts';
import type { HeaderBlock } from './header-block.ts';
import { Session, type SessionDeps } from './session.ts';
import type { Side } from './side.ts';

/** Stream ids end at 2^31; a connection that comes near is replaced. */
const idMax = 2 ** 30;
/** Streams on one connection: our bound for servers that name none. */
const streamsMax = 100;

/** A stream that waits for its connection. */
export type Starter = {
  onConnected(session: UpstreamSession): void;
  onNotConnected(): void;
};

/** A connection to a replica or to a model server, shared by the streams of all clients. */
export class UpstreamSession extends Session {
  connected = false;
  readonly #starting = new Set<Starter>();
  readonly #onClosed: (session: UpstreamSession) => void;
  #nextId = 1;

  constructor(deps: SessionDeps, address: Address, onClosed: (session: UpstreamSession) => void) {
    super(
      deps,
      dial(address, (bytes, size) => this.read(bytes, 0, size)),
    );
    this.#onClosed = onClosed;
    this.deadlineMs = deps.deadlines.in(deps.limits.connectTimeoutMs);
    this.raw(preface);
    this.hello([[2, 0]]); // no pushes
    this.socket
      .on('connect', () => this.#onConnect())
      .on('drain', () => this.onDrain())
      .on('error', () => {}) // `close` follows
      .on('end', () => this.socket.destroy())
      .on('close', () => this.#close());
  }

  /** Whether another stream fits. */
  get free(): boolean {
    const max = Math.min(this.peerStreamsMax, streamsMax);
    return !this.draining && !this.closed && this.#nextId < idMax && this.streams.size + this.#starting.size < max;
  }

  /** Calls back once it is connected, at once if it is. */
  start(starter: Starter) {
    if (this.connected) return starter.onConnected(this);
    this.#starting.add(starter);
  }

  /** It does not want the connection any more. */
  stop(starter: Starter): void {
    this.#starting.delete(starter);
  }

  /** Sends a request's head. What waits in `side` follows. */
  request(side: Side, block: HeaderBlock, isLast: boolean, one?: OwnField, two?: OwnField): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const id = this.#nextId;
    this.#nextId += 2;
    this.open(side, id);
    this.sendHeaders(id, block, isLast, one, two);
    if (side.queued === 0) return;
    this.waiting.add(side);
    while (side.pump());
  }

  /** No new streams. */
  retire(): void {
    this.draining = true;
    this.onForgotten();
  }

  onDeadline(): void {
    this.socket.destroy(); // not connected in time, or idle for long
  }

  protected onHeaders(id: number): void {
    if (!this.wasOpen(id)) this.fail(codes.protocol); // its stream was reset otherwise: the tables are what matters
  }

  protected wasOpen(id: number): boolean {
    return (id & 1) === 1 && id < this.#nextId;
  }

  protected mayReset(): boolean {
    return true;
  }

  protected onGoaway(lastId: number): void {
    for (const side of this.streams.all()) {
      if (side.id <= lastId) continue;
      this.forget(side);
      side.lose();
      side.owner.onReset(side, codes.refused, true);
    }
    this.onForgotten();
  }

  protected onForgotten(): void {
    if (this.streams.size > 0 || this.#starting.size > 0) return;
    if (this.draining) this.socket.destroySoon();
    else this.deadlineMs = this.deps.deadlines.in(this.deps.limits.idleTimeoutMs);
  }

  #onConnect(): void {
    this.connected = true;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const starting = [...this.#starting];
    this.#starting.clear();
    for (const starter of starting) starter.onConnected(this);
    this.onForgotten();
  }

  #close(): void {
    this.#onClosed(this);
    const starting = [...this.#starting];
    this.#starting.clear();
    this.abandon();
    for (const starter of starting) starter.onNotConnected();
  }
}

function dial(address: Address, read: (bytes: Buffer, size: number) => boolean): Socket {
  const onread = readInto(() => undefined, read);
  if ('socketPath' in address) return connect({ path: address.socketPath, onread });
  return connect({ ...address, noDelay: true, keepAlive: true, autoSelectFamily: false, onread });
}
