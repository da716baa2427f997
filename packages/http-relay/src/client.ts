import type { Socket } from 'node:net';
import { Body, emptyLine } from './body.ts';
import { LF, startsWith } from './bytes.ts';
import type { ClientSocket } from './client-socket.ts';
import type { Closable, Core } from './core.ts';
import type { Timed } from './deadlines.ts';
import type { Answer, Exchange } from './exchange.ts';
import { type Failure, refusalFor } from './failure.ts';
import type { Watched } from './hangups.ts';
import type { Reader } from './inbound.ts';
import { arrivals, Room } from './reads.ts';
import { malformed, postOnly, type Refusal, readOnly, refusals, renderedRefusal } from './refusal.ts';
import { chunkedBody, headSizeMax, methods, type RequestHead } from './request-head.ts';
import { untilClose } from './response-head.ts';
import { isPrediction, routes } from './route.ts';
import { type AnswerFields, persistence, splicedRequest, splicedResponse } from './splice.ts';
import { serverTiming } from './timing.ts';
import { traceIdIn } from './trace-contexts.ts';
import { type Receiver, Upstream, type UpstreamConnection } from './upstream.ts';

const phases = {
  /** Reads a head, or waits for one. */
  idle: 0,
  /** Has a request and no upstream that took it yet: parked, or its connection is being made. */
  waiting: 1,
  /** The request went to an upstream, as far as it has come. */
  sent: 2,
  /** The answer is on its way to the client. */
  answering: 3,
  /** Refused; the rest of the request's body is skipped. */
  skipping: 4,
  /** Nothing more will be read as a request; the client gets time to read the answer. */
  lingering: 5,
  closed: 6,
} as const;

/** A body part up to this size is copied behind its head, so that both go in one write; larger ones are not worth a copy. */
const joinedSizeMax = 16 * 1024;
/** Requests sent ahead are read up to here. */
const aheadSizeMax = 64 * 1024;
/** What is left of a refused body is read up to here to keep the connection; beyond, closing is cheaper. */
const skippedSizeMax = 64 * 1024;
/** A client that still sends after its connection was given up is listened to this long, so that no reset eats our answer. */
const lingerMs = 2_000;
const lingerSizeMax = 1024 * 1024;
/** Interim answers (100, 103) of one request. */
const interimMax = 8;
/**
 * With fewer requests under way, each is written at once: there is nothing that would come in the same turn. With more, those of
 * a turn are written in a row.
 */
const rowMin = 4;
/** Bodies of which more is to come than this are read into memory of their own, which goes on without a copy. */
const copiedSizeMax = 64 * 1024;

/** Attempts of one request, connections refused included: far more than a wait of 30 s with back-off needs. */
const attemptsMax = 64;

/** A longer one is not said back. */
const requestIdSizeMax = 128;

const none: readonly Upstream[] = [];

/** How the answer's body is passed on. */
const modes = { asIs: 0, dataOnly: 1, encode: 2 } as const;

/** One client connection and the one request that it has at a time. */
export class Client implements Exchange, Timed, Receiver, Closable, Reader, Watched {
  tag: unknown;
  attempt = 0;
  tried: readonly Upstream[] = none;
  upstream: Upstream | undefined;
  status = 0;
  reason: string | undefined;
  startedMs = 0;
  bodySizeMax = 0;
  responseTimeoutMs = 0;
  dropsCredentials = false;

  deadlineMs: number;
  place = -1;

  readonly #core: Core;
  readonly #socket: ClientSocket;
  #phase: number = phases.idle;
  /** Bytes not yet looked at: the beginning of a head, or requests sent ahead. */
  #input: Buffer | undefined;
  #inputAt = 0;
  #reading = false;
  #paused = false;
  #headBegun = false;
  /** Nothing has been read: it may yet turn out to speak HTTP/2. */
  #fresh = true;
  #forwarded: Buffer | undefined;

  // The request.
  #keepAlive = true;
  #http10 = false;
  #bodyless = false;
  readonly #body = new Body();
  /** The bytes that hold the head, and the first part of the body behind it; undefined when it cannot be sent again. */
  #request: Buffer | undefined;
  #requestStart = 0;
  #pathCut = 0;
  #bodyStart = 0;
  #bodyEnd = 0;
  /** Further parts of the body, to be sent, or sent again. */
  #held: Buffer[] = [];
  #heldSize = 0;
  #parked = false;
  #parkedUntilMs = 0;
  #redialed = false;
  #interim = 0;
  /** Its name, made (or 0) or brought. */
  #ownId = 0;
  #givenId = '';
  /** The context that was made for it, or 0; the one that it brought. */
  #trace = 0;
  #givenTrace: string | undefined;
  #timed = false;
  #waitedMs = 0;
  #parkedMs = 0;
  #sentMs = 0;

  // The answer.
  #connection: UpstreamConnection | undefined;
  #partialHead: Buffer | undefined;
  readonly #answer = new Body();
  #mode: number = modes.asIs;
  #reusable = false;
  #blocked = false;
  /** A whole answer that goes out at the end of this turn. */
  #pending: Buffer | undefined;
  /** What the body of a large request is read into. */
  readonly #room = new Room();
  #lingered = 0;

  constructor(core: Core, socket: ClientSocket) {
    this.#core = core;
    this.#socket = socket;
    this.deadlineMs = core.deadlines.in(core.limits.idleTimeoutMs);
    core.deadlines.add(this);
    if (socket.readBy === undefined) socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    else socket.readBy(this);
    socket
      .on('drain', () => this.#onDrain())
      .on('end', () => this.#onEnd())
      .on('error', () => {}) // `close` follows
      .on('close', () => this.#onClose());
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get traceId(): string | undefined {
    const { traces } = this.#core;
    return traceIdIn(this.#trace === 0 || traces === undefined ? (this.#givenTrace ?? '') : traces.value(this.#trace));
  }

  get requestId(): string {
    return this.#ownId === 0 ? this.#givenId : this.#core.requestIds.text(this.#ownId);
  }

  /** Of the name that was made for it; for the moment only. */
  get requestIdLine(): Buffer | undefined {
    return this.#ownId === 0 ? undefined : this.#core.requestIds.line(this.#ownId);
  }

  /** Of the context that was made for it; for the moment only. */
  get traceLine(): Buffer | undefined {
    return this.#trace === 0 ? undefined : this.#core.traces?.line(this.#trace);
  }

  part(): void {
    if (this.#phase !== phases.idle || this.#headBegun) return;
    this.deadlineMs = this.#core.deadlines.in(this.#core.limits.partingMs);
  }

  #end(): void {
    this.#phase = phases.lingering;
    this.deadlineMs = this.#core.deadlines.in(lingerMs);
    this.#resume(); // to see its end
    this.#out.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // ---- what the client sends

  onRead(bytes: Buffer, size: number): void {
    if (bytes !== arrivals) {
      this.#onData(size === bytes.length ? bytes : bytes.subarray(0, size));
      const { socket } = this.#connection ?? {};
      const isFree = socket?.writableLength === 0 && this.#held.length === 0 && this.#input === undefined;
      if (!isFree) this.#room.leave();
    } else {
      const chunk = Buffer.allocUnsafe(size);
      bytes.copy(chunk, 0, 0, size);
      this.#onData(chunk);
    }
  }

  room(): Buffer | undefined {
    const streams =
      this.#body.left > copiedSizeMax && (this.#phase === phases.sent || this.#phase === phases.answering);
    return this.#room.take(streams);
  }

  #onData(chunk: Buffer): void {
    switch (this.#phase) {
      case phases.idle:
        this.#keep(chunk);
        if (this.#mayBeWhole(chunk)) this.#readHeads();
        break;
      case phases.waiting:
      case phases.sent:
      case phases.answering:
        if (!this.#body.done) this.#readBody(chunk);
        else this.#keepAhead(chunk);
        break;
      case phases.skipping:
        this.#skip(chunk, 0);
        break;
      case phases.lingering:
        this.#lingered += chunk.length;
        if (this.#lingered > lingerSizeMax) this.#socket.destroy();
        break;
    }
  }

  #keep(chunk: Buffer, at = 0): void {
    if (this.#input === undefined) {
      this.#input = chunk;
      this.#inputAt = at;
    } else {
      this.#input = Buffer.concat([this.#input.subarray(this.#inputAt), chunk.subarray(at)]);
      this.#inputAt = 0;
    }
  }

  /** A head that came in pieces is read again only when a line ends, so that single bytes do not cost a reading each. */
  #mayBeWhole(chunk: Buffer): boolean {
    return !this.#headBegun || chunk.includes(LF) || this.#input!.length - this.#inputAt >= headSizeMax;
  }

  /** What is sent ahead is read while it is little, so that a client that goes away meanwhile is noticed. */
  #keepAhead(chunk: Buffer, at = 0): void {
    this.#keep(chunk, at);
    if (this.#input!.length - this.#inputAt >= aheadSizeMax) this.#pause();
  }

  #readHeads() {
    if (this.#reading) return; // a refusal inside the loop ends in here: the loop goes on by itself
    this.#reading = true;
    const { head, deadlines, limits } = this.#core;
    while (this.#phase === phases.idle && this.#input !== undefined) {
      const bytes: Buffer = this.#input;
      if (this.#fresh && isPreface(bytes, this.#inputAt)) return this.#becomeHttp2(bytes);
      this.#core.headOwner = this;
      const end = head.parse(bytes, this.#inputAt, bytes.length);
      if (end === 0) {
        if (!this.#headBegun) this.deadlineMs = deadlines.in(limits.headTimeoutMs);
        this.#headBegun = true;
        break;
      }
      this.#input = undefined;
      this.#headBegun = this.#fresh = false;
      if (end < 0) this.#refuseUnread(malformed(-end));
      else this.#begin(bytes, this.#inputAt, end);
    }
    this.#reading = false;
  }

  /** The client speaks HTTP/2: the connection is not ours any more. */
  #becomeHttp2(bytes: Buffer): void {
    this.#phase = phases.closed;
    this.#input = undefined;
    this.#onClose();
    const socket = this.#socket as Socket; // a stream of HTTP/2 begins otherwise
    socket.removeAllListeners('data'); // what else it says means nothing here any more
    this.#core.openHttp2(socket, bytes);
  }

  #begin(bytes: Buffer, start: number, end: number) {
    const { head, clock } = this.#core;
    this.startedMs = clock.monotonic();
    this.#core.underWay++;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.tag = this.upstream = this.reason = undefined;
    this.attempt = this.status = this.#interim = this.#parkedUntilMs = 0;
    this.tried = none;
    this.#redialed = false;
    this.#keepAlive = head.keepAlive;
    this.#http10 = head.http10;
    this.#bodyless = head.method === methods.head;
    this.#request = bytes;
    this.#requestStart = start;
    this.#phase = phases.waiting;
    this.#name();
    this.#body.begin(head.bodyLength, false);
    this.#firstBody(bytes, end);
    if (this.#body.broken) return this.#refuse(refusals.body);
    this.#ask();
  }

  /** What the request is called, in whole systems, and what holds for it unless the picker says otherwise. */
  #name(): void {
    const { head, limits, edge, traces, requestIds } = this.#core;
    this.bodySizeMax = limits.bodySizeMax;
    this.responseTimeoutMs = limits.responseTimeoutMs;
    this.dropsCredentials = false;
    this.#ownId = head.hasRequestId ? 0 : requestIds.next();
    this.#givenId = edge && head.hasRequestId ? head.field('x-request-id')! : '';
    this.#trace = traces === undefined || head.hasTrace ? 0 : traces.next();
    this.#givenTrace = edge && head.hasTrace ? head.field('traceparent') : undefined;
    this.#timed = head.wantsTiming;
    this.#waitedMs = this.#sentMs = 0;
  }

  /** The part of the body that came with the head, and what is behind it. */
  #firstBody(bytes: Buffer, start: number): void {
    this.#bodyStart = this.#bodyEnd = start;
    this.#held = [];
    this.#heldSize = 0;
    let at = start;
    if (!this.#body.done && at < bytes.length) {
      at = this.#body.run(bytes, at, bytes.length);
      if (this.#body.kept) this.#bodyEnd = at;
      this.#heldSize = this.#bodyEnd - start;
      at = this.#runs(bytes, at);
    }
    if (at < bytes.length && !this.#body.broken) this.#keep(bytes, at);
  }

  #readBody(chunk: Buffer) {
    const at = this.#runs(chunk, 0);
    if (this.#body.broken) return this.#onBadBody(refusals.body);
    if (this.#body.size > this.bodySizeMax) return this.#onBadBody(refusals.bodySize);
    if (at < chunk.length) this.#keepAhead(chunk, at);
    const sent = this.#phase !== phases.waiting;
    if (sent && this.#phase === phases.sent) {
      const { deadlines, limits } = this.#core;
      this.deadlineMs = deadlines.in(this.#body.done ? this.responseTimeoutMs : limits.idleTimeoutMs);
    }
    if (this.#heldSize < this.#core.limits.replaySizeMax) return;
    if (!sent)
      this.#pause(); // until somebody takes it
    else this.#forget();
  }

  /** Passes on, or holds, what is kept of the body in `bytes` from `at`. Returns where the body ended. */
  #runs(bytes: Buffer, start: number): number {
    let at = start;
    while (at < bytes.length && !this.#body.done && !this.#body.broken) {
      const from = at;
      at = this.#body.run(bytes, from, bytes.length);
      if (this.#body.kept && at > from)
        this.#pass(from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at));
    }
    if (this.#body.done && this.#body.tail !== undefined) {
      // Without trailers: Triton takes those of a request for the next one. RFC 9110 6.5.1 lets a relay discard them.
      this.#pass(emptyLine);
      this.#body.tail = undefined;
    }
    return at;
  }

  #pass(part: Buffer): void {
    if (this.#phase === phases.waiting || this.#request !== undefined) {
      this.#held.push(part);
      this.#heldSize += part.length;
    }
    if (this.#phase === phases.waiting || this.#connection === undefined) return;
    if (!this.#connection.socket.write(part) && !this.#body.done) this.#pause();
  }

  /** From now on the request cannot be sent again. */
  #forget(): void {
    this.#request = undefined;
    if (this.#held.length > 0) this.#held = [];
    this.#heldSize = 0;
  }

  #onBadBody(refusal: Refusal) {
    this.#keepAlive = false;
    if (this.#phase === phases.answering) this.#fail('truncated');
    else {
      this.#release(false);
      this.#refuse(refusal);
    }
  }

  // ---- where it goes

  resume(answer?: Answer): void {
    if (!this.#parked) return;
    this.#unpark();
    this.#readAgain();
    if (answer === undefined) this.#ask();
    else this.#act(answer);
  }

  /** Asks where the request in the shared head goes, and sends it there. */
  #ask() {
    const { head, picker } = this.#core;
    if (head.isProbe && picker.probe !== undefined && isKubelet(head)) return this.#refuse(picker.probe());
    this.#pathCut = picker.pathCut?.(head, this) ?? 0;
    if (!head.classify(this.#pathCut)) return this.#refuse(refusals.escape);
    if (head.route === routes.unknown) return this.#refuse(refusals.path);
    const post = isPrediction(head.route);
    const wanted = post ? head.method === methods.post : head.method === methods.get || this.#bodyless;
    if (!wanted) return this.#refuse(post ? postOnly : readOnly);
    this.#act(picker.pick(head, this));
  }

  #act(answer: Answer) {
    const isRefused = answer !== 'parked' && !(answer instanceof Upstream);
    if (isRefused) this.#refuse(answer);
    else if (Math.max(this.#core.head.bodyLength, this.#body.size) > this.bodySizeMax) this.#refuse(refusals.bodySize);
    else if (answer === 'parked') this.#park();
    else this.#dispatch(answer, false);
  }

  #park() {
    const { limits, deadlines, clock } = this.#core;
    if (this.#core.parked >= limits.parkedMax) return this.#refuse(refusals.parkedMax);
    if (this.#parkedUntilMs === 0) this.#parkedUntilMs = deadlines.in(limits.parkedMs);
    this.#core.parked++;
    this.#parked = true;
    this.#parkedMs = clock.monotonic();
    this.deadlineMs = this.#parkedUntilMs;
  }

  #unpark(): void {
    if (!this.#parked) return;
    this.#parked = false;
    this.#waitedMs += this.#core.clock.monotonic() - this.#parkedMs;
    this.#core.parked--;
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  #dispatch(upstream: Upstream, fresh: boolean) {
    this.upstream = upstream;
    const connection = upstream.attach(this, fresh);
    if (connection === undefined) return this.#refuse(refusals.connections);
    this.#connection = connection;
    if (connection.connected) this.#send(connection);
  }

  onConnected(): void {
    this.#send(this.#connection!);
  }

  /** Brings the request back into the shared head, which other requests used meanwhile. */
  #readAgain(): void {
    if (this.#core.headOwner === this) return;
    this.#core.headOwner = this;
    this.#core.head.parse(this.#request!, this.#requestStart, this.#request!.length);
    this.#core.head.classify(this.#pathCut);
  }

  #send(connection: UpstreamConnection) {
    this.#readAgain();
    const { head, limits, deadlines, splice } = this.#core;
    const { socket } = connection;
    const joined = this.#bodyEnd - this.#bodyStart <= joinedSizeMax;
    this.#phase = phases.sent;
    if (this.#timed) this.#sentMs = this.#core.clock.monotonic();
    if (joined && this.#body.done && this.#held.length === 0 && this.#core.underWay >= rowMin) {
      this.deadlineMs = deadlines.in(this.responseTimeoutMs);
      return connection.sendSoon(
        splicedRequest(splice, head, this.#addedLines(), this, this.#bodyStart, this.#bodyEnd),
      );
    }
    if (!joined || this.#held.length > 0) socket.cork();
    const bodyEnd = joined ? this.#bodyEnd : this.#bodyStart;
    const spliced = splicedRequest(splice, head, this.#addedLines(), this, this.#bodyStart, bodyEnd);
    let flowing = socket.write(spliced);
    if (!joined) flowing = socket.write(this.#request!.subarray(this.#bodyStart, this.#bodyEnd));
    for (const part of this.#held) flowing = socket.write(part);
    if (!joined || this.#held.length > 0) socket.uncork();
    if (socket.writableLength > 0) splice.keep(spliced);
    if (this.#heldSize >= limits.replaySizeMax) this.#forget();
    this.deadlineMs = deadlines.in(this.#body.done ? this.responseTimeoutMs : limits.idleTimeoutMs);
    if (!this.#body.done) {
      if (flowing) this.#resume();
      else this.#pause();
    }
  }

  #addedLines(): Buffer {
    const { head, edge, added, addedToUntyped } = this.#core;
    if (!edge) return head.route === routes.v2Infer && !head.hasBodyType ? addedToUntyped : added;
    this.#forwarded ??= Buffer.concat([
      Buffer.from(`x-forwarded-for: ${this.#socket.remoteAddress ?? 'unknown'}\r\n`),
      this.#core.added,
    ]);
    return this.#forwarded;
  }

  onUpstreamDrain(): void {
    if (!this.#body.done) this.#resume();
  }

  onUpstreamClosed(failed: boolean): void {
    const connection = this.#connection!;
    const begun = this.#partialHead !== undefined;
    if (this.#phase === phases.answering) {
      if (!failed && this.#answer.finish()) this.#endAnswer();
      else this.#fail('truncated');
    } else if (this.#phase === phases.waiting) this.#retry('connect');
    else if (connection.reused && !begun && !this.#redialed && this.#request !== undefined) {
      // It was closed while idle, most likely before our request arrived: that is nobody's failure.
      this.#redialed = true;
      this.#release(false);
      this.#phase = phases.waiting;
      this.#dispatch(this.upstream!, true);
    } else this.#retry('reset');
  }

  /** The upstream failed before the client got anything. */
  #retry(failure: Failure) {
    const { picker } = this.#core;
    const upstream = this.upstream!;
    const sent = this.#phase === phases.sent;
    this.#release(false);
    picker.onFailure?.(upstream, failure, this);
    const harmless = !sent || failure === 'not-here' || (failure === 'reset' && this.#safe());
    if (!harmless || this.#request === undefined || this.#interim > 0 || ++this.attempt > attemptsMax) {
      return this.#refuse(refusalFor(failure));
    }
    if (sent) this.tried = [...this.tried.slice(-7), upstream]; // the last eight are enough to avoid
    this.#phase = phases.waiting;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#readAgain();
    this.#act(picker.pick(this.#core.head, this));
  }

  /** RFC 9110 9.2.1: GET and HEAD, which is all that passes besides POST, ask for nothing to be done. */
  #safe(): boolean {
    this.#readAgain();
    return this.#core.head.method !== methods.post;
  }

  #release(reusable: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#partialHead = undefined;
    this.upstream!.detach(connection, reusable);
  }

  // ---- what the upstream answers

  onAnswer(connection: UpstreamConnection, bytes: Buffer, end: number): boolean {
    if (this.#phase === phases.answering) {
      this.deadlineMs = this.#core.deadlines.in(this.#core.limits.idleTimeoutMs);
      return this.#answerBody(connection, bytes, 0, end);
    }
    if (this.#partialHead === undefined) return this.#answerHead(connection, bytes, end);
    const all = Buffer.concat([this.#partialHead, bytes.subarray(0, end)]);
    return this.#answerHead(connection, all, all.length);
  }

  #answerHead(connection: UpstreamConnection, bytes: Buffer, end: number): boolean {
    const { responseHead, splice } = this.#core;
    for (let at = 0; ; ) {
      const headEnd = responseHead.parse(bytes, at, end);
      if (headEnd === 0) {
        this.#partialHead = Buffer.from(bytes.subarray(at, end));
        return true;
      }
      if (headEnd < 0 || responseHead.status === 101) return this.#broken();
      if (responseHead.status >= 200) return this.#final(connection, bytes, headEnd, end);
      if (++this.#interim > interimMax) return this.#broken();
      if (!this.#http10) {
        this.#writeOwn(splicedResponse(splice, responseHead, untilClose, persistence.implied, undefined, 0, 0));
      }
      this.#partialHead = undefined;
      at = headEnd;
    }
  }

  #broken(): boolean {
    this.#retry('protocol');
    return false;
  }

  #final(connection: UpstreamConnection, bytes: Buffer, at: number, end: number): boolean {
    const head = this.#core.responseHead;
    if (head.notHere && this.#goesElsewhere(head.status)) return this.#leave(bytes, at, end);
    const bodyless = this.#bodyless || head.status === 204 || head.status === 304;
    const length = bodyless ? 0 : head.bodyLength;
    if (length === chunkedBody) this.#mode = this.#http10 ? modes.dataOnly : modes.asIs;
    else this.#mode = length === untilClose && !this.#http10 ? modes.encode : modes.asIs;
    this.#answer.begin(length, this.#mode === modes.dataOnly);
    const first = end > at && length !== 0 ? this.#answer.run(bytes, at, end) : at;
    const joins = this.#answer.kept && this.#mode !== modes.encode && first - at <= joinedSizeMax && first > at;
    if (this.#answer.broken || (this.#answer.done && first < end && this.#answer.tail === undefined))
      return this.#broken();
    this.#reusable = head.keepAlive && length !== untilClose;
    this.status = head.status;
    const endless = this.#http10 && length < 0;
    if (this.#core.closing || endless || !this.#body.done) this.#keepAlive = false;
    this.#phase = phases.answering;
    this.#forget();
    this.deadlineMs = this.#core.deadlines.in(this.#core.limits.idleTimeoutMs);
    const announced = head.status === 204 || endless ? untilClose : this.#announced(head.bodyLength, bodyless);
    const own = this.#answerFields(head.hasRequestId);
    const spliced = splicedResponse(
      this.#core.splice,
      head,
      announced,
      this.#persistence(),
      own,
      at,
      joins ? first : at,
    );
    if (this.#answer.done && joins && this.#core.underWay >= rowMin) this.#writeSoon(spliced);
    else this.#writeOwn(spliced);
    if (!joins && first > at && this.#answer.kept) this.#writeShared(connection, bytes, at, first);
    return this.#answerBody(connection, bytes, first, end);
  }

  /** What we add to an answer. */
  #answerFields(hasRequestId: boolean): AnswerFields {
    const { edge, name, clock } = this.#core;
    const names = edge && !hasRequestId;
    const isSaidBack = names && this.#givenId !== '' && this.#givenId.length <= requestIdSizeMax;
    let text = isSaidBack ? `x-request-id: ${this.#givenId}\r\n` : '';
    if (this.#timed) {
      const times = { startedMs: this.startedMs, waitedMs: this.#waitedMs, sentMs: this.#sentMs };
      text += `server-timing: ${serverTiming(name, times, clock.monotonic())}\r\n`;
    }
    return { requestIdLine: names ? this.requestIdLine : undefined, text };
  }

  /** Whether a "not here" is acted on instead of passed on. */
  #goesElsewhere(status: number): boolean {
    const again = this.#request !== undefined && this.#interim === 0 && this.attempt < attemptsMax;
    return again && (this.#core.picker.elsewhere?.(this.upstream!, status, this) ?? false);
  }

  /** Drops an answer whose head is read, with its connection unless it is all there, and tries another upstream. */
  #leave(bytes: Buffer, at: number, end: number): boolean {
    const { bodyLength, keepAlive } = this.#core.responseHead;
    this.#answer.begin(this.#bodyless ? 0 : bodyLength, false);
    const whole = this.#answer.run(bytes, at, end) === end && this.#answer.done;
    const reusable = whole && keepAlive && this.#body.done;
    this.#release(reusable);
    this.#retry('not-here');
    return reusable;
  }

  /** The framing that the client is told. */
  #announced(length: number, bodyless: boolean): number {
    if (length !== untilClose) return length;
    return bodyless ? untilClose : chunkedBody;
  }

  #persistence(): number {
    if (!this.#keepAlive) return persistence.close;
    return this.#http10 ? persistence.keepAlive : persistence.implied;
  }

  /** Passes on the body from `at`. Returns whether to read on. */
  #answerBody(connection: UpstreamConnection, bytes: Buffer, start: number, end: number): boolean {
    const answer = this.#answer;
    let at = start;
    while (at < end && !answer.done && !answer.broken) {
      const from = at;
      at = answer.run(bytes, from, end);
      if (answer.kept && at > from) this.#writeShared(connection, bytes, from, at);
    }
    // More than was announced, or framing that makes no sense: the client must be able to tell this from success.
    if (answer.broken || (answer.done && at < end)) {
      this.#fail('truncated');
      return false;
    }
    if (!answer.done) {
      connection.streams = end > joinedSizeMax && answer.left > copiedSizeMax;
      return !this.#blocked;
    }
    this.#endAnswer();
    return true;
  }

  #writeShared(connection: UpstreamConnection, bytes: Buffer, start: number, end: number): void {
    if (this.#mode === modes.encode) this.#out.write(`${(end - start).toString(16)}\r\n`);
    const part = bytes.subarray(start, end);
    this.#write(bytes === arrivals ? Buffer.from(part) : part);
    if (this.#mode === modes.encode) this.#write(Buffer.from('\r\n'));
    if (this.#socket.writableLength > 0) connection.retained = true;
  }

  #write(part: Buffer): void {
    if (!this.#out.write(part)) this.#blocked = true;
  }

  /** Writes what was spliced. */
  #writeOwn(message: Buffer): void {
    this.#write(message);
    if (this.#socket.writableLength > 0) this.#core.splice.keep(message);
  }

  #writeSoon(answer: Buffer): void {
    this.flush();
    this.#pending = answer;
    this.#core.turn.add(this);
  }

  flush(): void {
    const answer = this.#pending;
    if (answer === undefined) return;
    this.#pending = undefined;
    const { writeWhole } = this.#socket;
    if (!(writeWhole?.(answer) ?? this.#socket.write(answer))) this.#blocked = true;
    if (this.#blocked || this.#socket.writableLength > 0) this.#core.splice.keep(answer);
  }

  /** The socket, for what comes behind an answer that waits for the end of this turn. */
  get #out(): ClientSocket {
    this.flush();
    return this.#socket;
  }

  #onDrain(): void {
    this.#blocked = false;
    if (this.#phase !== phases.answering) return;
    this.deadlineMs = this.#core.deadlines.in(this.#core.limits.idleTimeoutMs);
    this.#connection?.socket.resume();
  }

  #endAnswer(): void {
    if (this.#mode === modes.encode) this.#out.write('0\r\n\r\n');
    else if (this.#answer.tail !== undefined && this.#mode === modes.asIs) this.#out.write(this.#answer.tail);
    this.#release(this.#reusable && this.#body.done);
    this.#finish();
  }

  /** Reads no more for now; that the client goes meanwhile is noticed all the same. */
  #pause(): void {
    this.#socket.pause();
    this.#paused = true;
    this.#core.hangups.watch(this);
  }

  #resume(): void {
    if (this.#paused) this.#core.hangups.forget(this);
    this.#paused = false;
    this.#socket.resume();
  }

  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  onHangup(): void {
    this.#socket.destroy();
  }

  // ---- how it ends

  /** Answers the request ourselves. Nothing of another answer has gone out, except interim ones. */
  #refuse(refusal: Refusal): void {
    this.#release(false);
    this.status = refusal.status;
    this.reason = refusal.reason;
    if (this.#core.closing || this.#body.broken || this.#body.left > skippedSizeMax) this.#keepAlive = false;
    const { requestIdLine, text } = this.#answerFields(false);
    const own = `${requestIdLine?.toString('latin1') ?? ''}${text}`;
    this.#out.write(renderedRefusal(refusal, this.#persistence(), this.#bodyless, own));
    this.#finish();
  }

  /** A head that could not be read: there is no request, and what follows it means nothing. */
  #refuseUnread(refusal: Refusal): void {
    this.#out.write(renderedRefusal(refusal, persistence.close, false));
    this.#end();
  }

  #finish() {
    this.#unpark();
    this.#forget();
    this.#core.underWay--;
    this.#core.picker.onDone?.(this);
    this.upstream = undefined;
    this.tried = none;
    this.tag = undefined;
    if (!this.#keepAlive) return this.#end();
    const { closing, deadlines, limits } = this.#core;
    this.deadlineMs = deadlines.in(closing ? limits.partingMs : limits.idleTimeoutMs);
    this.#phase = this.#body.done ? phases.idle : phases.skipping;
    this.#resume();
    if (this.#input !== undefined) this.#readHeads();
  }

  #skip(chunk: Buffer, start: number) {
    let at = start;
    while (at < chunk.length && !this.#body.done && !this.#body.broken) at = this.#body.run(chunk, at, chunk.length);
    if (this.#body.broken) return this.#end();
    if (!this.#body.done) return;
    this.#phase = phases.idle;
    if (at < chunk.length) this.#keep(chunk, at);
    this.#readHeads();
  }

  /** The answer has begun and cannot be completed: a reset is the one end that no client takes for success. */
  #fail(reason: string): void {
    this.reason = reason;
    this.#close();
    this.#out.resetAndDestroy();
  }

  #close(): void {
    const active = this.#phase === phases.waiting || this.#phase === phases.sent || this.#phase === phases.answering;
    this.#phase = phases.closed;
    this.#input = undefined;
    if (!active) return;
    this.#unpark();
    this.#release(false);
    this.#forget();
    this.#core.underWay--;
    this.#core.picker.onDone?.(this);
  }

  #onEnd(): void {
    // RFC 9112 9.6 lets a client close its half and wait, but none does: it has gone, and what it asked for is stopped.
    if (this.#phase === phases.waiting || this.#phase === phases.sent || this.#phase === phases.answering) {
      this.#socket.destroy();
    }
  }

  #onClose(): void {
    this.#core.deadlines.remove(this);
    this.#core.hangups.forget(this);
    this.#core.clients.delete(this);
    if (this.#core.headOwner === this) this.#core.headOwner = undefined;
    if (this.#phase !== phases.closed) this.reason ??= 'client-gone';
    this.#close();
  }

  onDeadline(): void {
    switch (this.#phase) {
      case phases.idle:
        if (this.#headBegun) this.#refuseUnread(refusals.headTimeout);
        else this.#end();
        break;
      case phases.waiting:
        if (this.#parked) this.#refuse(this.#core.picker.waitedTooLong?.(this) ?? refusals.parkedMs);
        break;
      case phases.sent:
        if (this.#body.done) this.#retry('timeout');
        else this.#refuse(refusals.bodyTimeout);
        break;
      case phases.answering:
        this.#fail('truncated');
        break;
      default:
        this.#socket.destroy();
    }
  }
}

const isKubelet = (head: RequestHead) => head.field('user-agent')?.startsWith('kube-probe/') === true;

/** Whether it begins as HTTP/2 does: no request of HTTP/1.1 has this method. */
function isPreface(bytes: Buffer, at: number): boolean {
  return bytes.length - at >= 4 && startsWith(bytes, at, 'PRI ');
}
