import { connect, type Socket } from 'node:net';
import type { Address } from './address.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import type { Turn } from './h2/outbox.ts';
import type { Pool } from './h2/pool.ts';
import type { Limits } from './limits.ts';
import { writeWhole } from './outbound.ts';
import { Room, readInto } from './reads.ts';
import type { Splice } from './splice.ts';

/** Whoever uses a connection now. */
export type Receiver = {
  onConnected(): void;
  /** `[0, end)` came, and is overwritten afterwards; see `connection.streams`. False stops reading. */
  onAnswer(connection: UpstreamConnection, bytes: Buffer, end: number): boolean;
  onUpstreamDrain(): void;
  /** `failed`: with an error, or before it was connected. */
  onUpstreamClosed(failed: boolean): void;
};

export type UpstreamDeps = {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  readonly turn: Turn;
  readonly splice: Splice;
};

/** Where requests can go: a replica, or the model server in the pod. Holds the connections to it. */
export class Upstream {
  readonly address: Address;
  /** Its connections for gRPC. */
  readonly pool: Pool;
  /** Requests that it has now, for picking. */
  inFlight = 0;
  /** Whatever the owner wants to find again from an upstream. */
  tag: unknown;
  readonly #deps: UpstreamDeps;
  readonly #idle: UpstreamConnection[] = [];
  #open = 0;
  #retired = false;

  constructor(deps: UpstreamDeps, address: Address, pool: Pool) {
    this.pool = pool;
    this.#deps = deps;
    this.address = address;
  }

  /** A connection for one request: the one used last, or (also when `fresh` is asked for) a new one. Undefined when full. */
  attach(receiver: Receiver, fresh: boolean): UpstreamConnection | undefined {
    let connection = fresh ? undefined : this.#idle.pop();
    if (connection === undefined) {
      if (this.#open >= this.#deps.limits.upstreamConnectionsMax) return undefined;
      connection = this.#dial();
    }
    connection.receiver = receiver;
    if (connection.connected) connection.deadlineMs = Number.POSITIVE_INFINITY;
    this.inFlight++;
    return connection;
  }

  /** The request is over; `reusable` says whether another may follow. */
  detach(connection: UpstreamConnection, reusable: boolean): void {
    connection.receiver = undefined;
    connection.streams = false;
    this.inFlight--;
    if (
      !reusable ||
      this.#retired ||
      connection.socket.destroyed ||
      this.#idle.length >= this.#deps.limits.upstreamIdleMax
    ) {
      connection.socket.destroy();
      return;
    }
    connection.reused = true;
    connection.deadlineMs = this.#deps.deadlines.in(this.#deps.limits.upstreamIdleTimeoutMs);
    this.#idle.push(connection);
  }

  /** Tries to connect, and keeps the connection for the next request. */
  probe(onResult: (connected: boolean) => void): void {
    const connection = this.#dial();
    connection.receiver = {
      onConnected: () => {
        this.inFlight++; // detach takes it back
        this.detach(connection, true);
        connection.reused = false;
        onResult(true);
      },
      onAnswer: () => false,
      onUpstreamDrain: () => {},
      onUpstreamClosed: () => onResult(false),
    };
  }

  /** No more requests: idle connections go now, the others after their request. */
  retire(): void {
    this.#retired = true;
    this.pool.retire();
    for (const connection of this.#idle.splice(0)) connection.socket.destroy();
  }

  #dial(): UpstreamConnection {
    this.#open++;
    return new UpstreamConnection(this.#deps, this.address, (connection) => {
      this.#open--;
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
    });
  }
}

export class UpstreamConnection implements Timed {
  readonly socket: Socket;
  receiver: Receiver | undefined;
  connected = false;
  /** It has carried a request before: the other side may have closed it meanwhile. */
  reused = false;
  /** A large answer is coming: it is read into memory of the connection's own, and not where everybody's goes. */
  streams = false;
  /** What was just read into memory of its own is still needed: the next read goes elsewhere. */
  retained = false;
  deadlineMs: number;
  place = -1;
  readonly #room = new Room();
  readonly #turn: Turn;
  readonly #splice: Splice;
  #pending: Buffer | undefined;

  constructor(
    { deadlines, limits, turn, splice }: UpstreamDeps,
    address: Address,
    onClosed: (connection: UpstreamConnection) => void,
  ) {
    const onread = readInto(
      () => this.#room.take(this.streams),
      (bytes, size) => this.#read(bytes, size),
    );
    this.socket =
      'socketPath' in address
        ? connect({ path: address.socketPath, onread })
        : connect({
            host: address.host,
            port: address.port,
            noDelay: true,
            keepAlive: true,
            autoSelectFamily: false,
            onread,
          });
    this.#turn = turn;
    this.#splice = splice;
    this.deadlineMs = deadlines.in(limits.connectTimeoutMs);
    deadlines.add(this);
    let failed = false;
    const closed = () => {
      deadlines.remove(this);
      const { receiver } = this;
      this.receiver = undefined;
      onClosed(this);
      receiver?.onUpstreamClosed(failed || !this.connected);
    };
    this.socket
      .on('connect', () => {
        this.connected = true;
        this.deadlineMs = Number.POSITIVE_INFINITY;
        this.receiver?.onConnected();
      })
      .on('drain', () => this.receiver?.onUpstreamDrain())
      .on('error', () => {
        failed = true;
      })
      .on('end', () => this.socket.destroy())
      .on('close', closed);
  }

  /** Sends a whole request at the end of this turn. Nothing else is written before its answer has come. */
  sendSoon(request: Buffer): void {
    this.#pending = request;
    this.#turn.add(this);
  }

  flush(): void {
    const request = this.#pending;
    this.#pending = undefined;
    if (request === undefined || this.socket.destroyed) return;
    if (!writeWhole(this.socket, request)) this.#splice.keep(request);
  }

  onDeadline(): void {
    this.socket.destroy(); // not connected in time, or idle for long
  }

  #read(bytes: Buffer, size: number): boolean {
    const { receiver } = this;
    if (receiver === undefined) {
      this.socket.destroy(); // nobody asked for this
      return false;
    }
    const more = receiver.onAnswer(this, bytes, size);
    if (this.retained) {
      this.retained = false;
      this.#room.leave();
    }
    return more;
  }
}
