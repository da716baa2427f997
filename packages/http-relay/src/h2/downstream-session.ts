import type { Closable, Core } from '../core.ts';
import type { ReadableSocket, Reader } from '../inbound.ts';
import { Allowance } from './allowance.ts';
import { Field } from './field.ts';
import { codes, preface } from './frames.ts';
import type { HeaderBlock } from './header-block.ts';
import { HttpStream } from './http-stream.ts';
import { Session, type SessionDeps } from './session.ts';
import { GrpcStream } from './stream.ts';

/** Streams of one client connection: with their windows both ways 32 MiB at most, if all stand still. */
const streamsMax = 128;
/** Streams that a client may reset, at once and per second: as nghttp2 bounds rapid resets. */
const resets = { max: 1_000, perSecond: 33 } as const;
/** A client that was told to go gets so long to read the answers that it has. */
const lingerMs = 2_000;

/** A client's connection, and the requests on it: gRPC, or HTTP that goes on as HTTP/1.1. */
export class DownstreamSession extends Session implements Closable, Reader {
  readonly core: Core;
  readonly #added: readonly Field[];
  readonly #resets: Allowance;
  #greeted = 0;

  /** `first`: what came before it was known that the client speaks HTTP/2; may be empty. */
  constructor(deps: SessionDeps, core: Core, socket: ReadableSocket, first: Buffer) {
    super(deps, socket);
    this.core = core;
    this.#resets = new Allowance(resets.max, resets.perSecond, deps.deadlines.nowMs);
    this.#added = [new Field('via', `2 ${core.name}`)];
    if (core.edge) {
      this.#added = [new Field('x-forwarded-for', socket.remoteAddress ?? 'unknown'), ...this.#added];
    }
    core.clients.add(this);
    this.deadlineMs = deps.deadlines.in(deps.limits.idleTimeoutMs);
    if (socket.readBy === undefined) socket.on('data', (chunk: Buffer) => this.onRead(chunk, chunk.length));
    else socket.readBy(this);
    socket
      .on('drain', () => this.onDrain())
      .on('error', () => {}) // `close` follows
      .on('end', () => socket.destroy())
      .on('close', () => this.#onClose());
    this.hello([[3, streamsMax]]);
    if (first.length > 0) this.onRead(first, first.length);
  }

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  part(): void {
    if (this.closed || this.draining) return;
    this.draining = true;
    this.goodbye(codes.none);
    this.onForgotten();
  }

  onDeadline(): void {
    if (this.closed || this.draining || this.streams.size > 0) this.socket.destroy();
    else this.part();
  }

  protected onHeaders(id: number, block: HeaderBlock, end: boolean) {
    if ((id & 1) === 0) return void this.fail(codes.protocol);
    if (id <= this.lastId) return; // it was reset: what is under way is dropped
    if (this.draining) return; // beyond the id in our goodbye: the client sends it elsewhere
    this.lastId = id;
    if (this.streams.size >= streamsMax) return this.sendReset(id, codes.refused);
    if (block.malformed || block.method === undefined || block.status !== 0) return this.sendReset(id, codes.protocol);
    this.deadlineMs = Number.POSITIVE_INFINITY;
    if (block.isGrpc) block.add(this.#added);
    const stream = block.isGrpc ? new GrpcStream(this, block) : new HttpStream(this, block);
    this.open(stream.client, id);
    stream.client.received = end;
    stream.begin();
  }

  protected wasOpen(id: number): boolean {
    return (id & 1) === 1 && (id <= this.lastId || this.draining);
  }

  protected mayReset(): boolean {
    return this.#resets.take(this.deps.deadlines.nowMs);
  }

  protected onGoaway(): void {
    this.onForgotten();
  }

  protected onForgotten(): void {
    if (this.streams.size > 0 || this.closed) return;
    const { deadlines, limits } = this.deps;
    this.deadlineMs = deadlines.in(this.draining ? lingerMs : limits.grpcIdleTimeoutMs);
    if (this.draining) this.finish();
  }

  onRead(bytes: Buffer, size: number) {
    let at = 0;
    while (this.#greeted < preface.length && at < size) {
      if (bytes[at++] !== preface.charCodeAt(this.#greeted++)) return void this.fail(codes.protocol);
    }
    if (at < size) this.read(bytes, at, size);
  }

  /** What is passed on is copied: it needs no memory of its own. */
  room(): undefined {}

  #onClose(): void {
    this.core.clients.delete(this);
    this.abandon();
  }
}
