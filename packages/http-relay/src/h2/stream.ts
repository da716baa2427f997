import type { Core } from '../core.ts';
import type { Timed } from '../deadlines.ts';
import type { Answer, Exchange } from '../exchange.ts';
import { type Failure, refusalFor } from '../failure.ts';
import { type OwnField, ownField } from '../own-field.ts';
import { type Refusal, refusals } from '../refusal.ts';
import { hasModel, type Route, routes } from '../route.ts';
import { serverTiming } from '../timing.ts';
import { traceIdIn } from '../trace-contexts.ts';
import { Upstream } from '../upstream.ts';
import { Field, kinds } from './field.ts';
import { codes } from './frames.ts';
import { grpcRoute, hidden, httpStatusOf, modelIn, refusalBlock, refusalTrailers, type Unnamed } from './grpc.ts';
import type { HeaderBlock } from './header-block.ts';
import { Held } from './held.ts';
import { MessageSizes } from './message-sizes.ts';
import { Side, type StreamOwner } from './side.ts';
import type { Starter, UpstreamSession } from './upstream-session.ts';

const phases = {
  /** The model is not known yet. */
  reading: 0,
  /** Has no upstream that took it: parked, or its connection is being made. */
  waiting: 1,
  sent: 2,
  answering: 3,
  over: 4,
} as const;

/** Attempts of one request, as for HTTP/1.1. */
const attemptsMax = 64;
const none: readonly Upstream[] = [];
const noName = Buffer.alloc(0);
const noFields: readonly OwnField[] = [];

/** What a stream asks of its client's connection. */
type ClientSession = {
  readonly core: Core;
  readonly remoteAddress: string | undefined;
  sendHeaders(id: number, block: HeaderBlock, isLast: boolean, one?: OwnField, two?: OwnField): void;
};

/** One gRPC request and its answer, between a client's connection and an upstream's. */
export class GrpcStream implements Exchange, Timed, StreamOwner, Starter {
  tag: unknown;
  attempt = 0;
  tried: readonly Upstream[] = none;
  upstream: Upstream | undefined;
  status = 0;
  reason: string | undefined;
  readonly startedMs: number;
  bodySizeMax: number;
  responseTimeoutMs: number;
  dropsCredentials = false;
  deadlineMs: number;
  place = -1;
  readonly client: Side;
  #server: Side;
  readonly #session: ClientSession;
  readonly #block: HeaderBlock;
  #phase: number = phases.reading;
  #route: Route = routes.unknown;
  #pathCut = 0;
  #model: Buffer = noName;
  #parked = false;
  #parkedUntilMs = 0;
  #attached = false;
  /** Data that came, and is not in any queue, is written next. */
  #dataFollows = false;
  #starting: UpstreamSession | undefined;
  /** All that the client has sent, for sending it again, unless that is too much. */
  #replay: Held | undefined;
  #canReplay = true;
  #replaySize = 0;
  /** What is kept is being sent once more. */
  #replayed = false;
  /** As for HTTP/1.1. */
  readonly #ownId: number;
  readonly #trace: number;
  readonly #timed: boolean;
  #waitedMs = 0;
  #parkedMs = 0;
  #sentMs = 0;
  readonly #sizes = new MessageSizes();
  /** Of the messages so far, as their heads announce it. */
  #largest = 0;

  constructor(session: ClientSession, block: HeaderBlock) {
    const { deadlines, limits, clock, traces, requestIds } = session.core;
    this.#session = session;
    this.#block = block;
    this.startedMs = clock.monotonic();
    this.#ownId = block.requestId === undefined ? requestIds.next() : 0;
    this.#trace = traces === undefined || block.hasTrace ? 0 : traces.next();
    this.#timed = block.wantsTiming;
    this.bodySizeMax = limits.bodySizeMax;
    this.responseTimeoutMs = limits.responseTimeoutMs;
    this.client = new Side(this);
    this.#server = this.#newServer();
    this.deadlineMs = deadlines.in(limits.idleTimeoutMs);
    deadlines.add(this);
  }

  /** Starts, once the client's side is open. */
  begin() {
    const { method, tooLarge, model } = this.#block;
    if (tooLarge) return this.#refuse(refusals.metadata);
    if (method?.value !== 'POST') return this.#refuse(refusals.method);
    this.#locate();
    if (this.#route === routes.unknown) return this.#refuse(refusals.method);
    if (model !== undefined) this.#model = Buffer.from(model.value, 'latin1');
    if (!hasModel(this.#route) || model !== undefined) this.#ask();
    else if (this.client.received) this.#refuse(refusals.nameless);
  }

  get requestId(): string {
    return this.#block.requestId?.value ?? this.#session.core.requestIds.text(this.#ownId);
  }

  get remoteAddress(): string | undefined {
    return this.#session.remoteAddress;
  }

  get traceId(): string | undefined {
    const { traces } = this.#session.core;
    const made = this.#trace === 0 ? undefined : traces?.value(this.#trace);
    return traceIdIn(made ?? this.#block.fields.find(({ kind }) => kind === kinds.traceparent)?.value ?? '');
  }

  #newServer(): Side {
    const server = new Side(this);
    server.other = this.client;
    this.client.other = server;
    return server;
  }

  // ---- what the client sends

  onHeaders(side: Side, block: HeaderBlock, end: boolean) {
    this.#touch();
    if (side !== this.client) return this.#onAnswerHead(block, end);
    // gRPC's requests have no trailers: if some come, they end the request and mean nothing.
    if (end) return this.onData(side, noName, 0, 0, true);
    side.reset(codes.protocol);
    this.onReset(side, codes.protocol);
  }

  onData(side: Side, bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (side === this.client) this.#onRequestData(bytes, start, end, isLast);
    else this.#onAnswerData(bytes, start, end, isLast);
    this.#touch();
  }

  #onRequestData(bytes: Buffer, start: number, end: number, isLast: boolean) {
    if (this.#phase === phases.over) return;
    this.#largest = Math.max(this.#largest, this.#sizes.largest(bytes, start, end));
    if (this.#phase >= phases.sent && this.#largest > this.bodySizeMax) return this.#onTooLarge();
    if (this.#canReplay) this.#keep(bytes, start, end);
    if (this.#phase === phases.reading && this.#server.queued === 0)
      return this.#onFirstData(bytes, start, end, isLast);
    this.#server.write(bytes, start, end, isLast);
    if (this.#phase === phases.reading) this.#readModel(isLast);
  }

  #onTooLarge(): void {
    if (this.#phase === phases.answering) this.#fail(refusals.bodySize);
    else this.#refuse(refusals.bodySize);
  }

  /** Keeps what is sent for another attempt, while it is little. */
  #keep(bytes: Buffer, start: number, end: number): void {
    this.#replaySize += end - start;
    if (this.#replaySize > this.#session.core.limits.replaySizeMax) this.#forget();
    else if (end > start) {
      this.#replay ??= new Held();
      this.#replay.add(bytes, start, end);
    }
  }

  /** From now on the request cannot be sent again. */
  #forget(): void {
    if (!this.#replayed) this.#replay?.clear();
    this.#replay = undefined;
    this.#canReplay = false;
  }

  /** Mostly the model is named here: then what came goes out from where it lies. */
  #onFirstData(bytes: Buffer, start: number, end: number, isLast: boolean) {
    const named = modelIn(bytes, start, end);
    if (named.kind !== 'named') {
      this.#server.write(bytes, start, end, isLast);
      return this.#onUnnamed(named, isLast);
    }
    this.#model = copyOf(bytes, named.start, named.end);
    this.#dataFollows = true;
    this.#ask();
    const follows = this.#dataFollows && this.#phase !== phases.over;
    this.#dataFollows = false;
    if (follows) this.#server.write(bytes, start, end, isLast);
  }

  /** Looks at all that came so far, which waits. */
  #readModel(isLast: boolean) {
    const all = this.#server.waiting();
    const named = modelIn(all, 0, all.length);
    if (named.kind !== 'named') return this.#onUnnamed(named, isLast);
    this.#model = copyOf(all, named.start, named.end);
    this.#ask();
  }

  #onUnnamed(named: Unnamed, isLast: boolean) {
    if (named.kind === 'refused') return this.#refuse(named.refusal);
    if (isLast) return this.#refuse(refusals.nameless);
    if (this.#server.queued >= this.#session.core.limits.replaySizeMax) this.#refuse(hidden);
  }

  // ---- where it goes

  /** Finds out what is asked for. */
  #locate(): void {
    const { grpcHead, picker } = this.#session.core;
    const { path } = this.#block;
    grpcHead.target(this.#block);
    this.#pathCut = picker.pathCut?.(grpcHead, this) ?? 0;
    this.#route = grpcRoute(this.#pathCut === 0 ? path!.value : path!.value.slice(this.#pathCut));
  }

  /** Asks where it goes, and sends it there. */
  #ask(): void {
    const { grpcHead, picker } = this.#session.core;
    this.#phase = phases.waiting;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    grpcHead.target(this.#block);
    grpcHead.asksFor(this.#route, this.#model);
    this.#act(picker.pick(grpcHead, this));
  }

  resume(answer?: Answer) {
    if (!this.#parked) return;
    this.#unpark();
    if (answer !== undefined) return this.#act(answer);
    this.#locate();
    if (this.#route === routes.unknown) this.#refuse(refusals.method);
    else this.#ask();
  }

  #act(answer: Answer): void {
    const isRefused = answer !== 'parked' && !(answer instanceof Upstream);
    if (isRefused) this.#refuse(answer);
    else if (this.#largest > this.bodySizeMax) this.#refuse(refusals.bodySize);
    else if (answer === 'parked') this.#park();
    else this.#dispatch(answer);
  }

  #park() {
    const { core } = this.#session;
    if (core.parked >= core.limits.parkedMax) return this.#refuse(refusals.parkedMax);
    if (this.#parkedUntilMs === 0) this.#parkedUntilMs = core.deadlines.in(core.limits.parkedMs);
    core.parked++;
    this.#parked = true;
    this.#parkedMs = core.clock.monotonic();
    this.deadlineMs = this.#parkedUntilMs;
  }

  #unpark(): void {
    if (!this.#parked) return;
    this.#parked = false;
    this.#waitedMs += this.#session.core.clock.monotonic() - this.#parkedMs;
    this.#session.core.parked--;
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  #dispatch(upstream: Upstream) {
    const session = upstream.pool.session();
    if (session === undefined) return this.#refuse(refusals.connections);
    this.upstream = upstream;
    upstream.inFlight++;
    this.#attached = true;
    this.#starting = session;
    session.start(this);
  }

  onConnected(session: UpstreamSession): void {
    const { core } = this.#session;
    this.#starting = undefined;
    this.#phase = phases.sent;
    if (this.#timed) this.#sentMs = core.clock.monotonic();
    const block = this.#block.forwarded(this.#pathCut, this.dropsCredentials);
    this.#touch();
    const isLast = this.client.received && this.#server.queued === 0 && !this.#dataFollows;
    const { requestIds, traces } = core;
    const name = this.#ownId === 0 ? undefined : requestIds.field(this.#ownId);
    const trace = this.#trace === 0 ? undefined : traces?.field(this.#trace);
    if (name === undefined) session.request(this.#server, block, isLast, trace);
    else session.request(this.#server, block, isLast, name, trace);
  }

  onNotConnected(): void {
    this.#starting = undefined;
    this.#retry('connect');
  }

  /** The upstream failed before the client got anything. */
  #retry(failure: Failure) {
    const { picker } = this.#session.core;
    const upstream = this.upstream!;
    const sent = this.#phase === phases.sent;
    this.#release();
    picker.onFailure?.(upstream, failure, this);
    const harmless = !sent || failure === 'not-here';
    if (!harmless || !this.#again(sent)) return this.#refuse(refusalFor(failure));
    if (sent) this.tried = [...this.tried.slice(-7), upstream]; // as for HTTP/1.1
    this.#ask();
  }

  /** Prepares another attempt. False when there can be none. */
  #again(sent: boolean): boolean {
    if (++this.attempt > attemptsMax) return false;
    if (!sent) return true;
    if (!this.#canReplay) return false;
    const given = this.#replaySize - this.#server.queued + this.#server.repeated;
    this.#server = this.#newServer();
    this.#replayed = true;
    this.#dataFollows = false; // it is among what is sent again
    this.#server.preload(this.#replay?.parts.slice() ?? [], this.#replaySize, given, this.client.received);
    return true;
  }

  /** Gives the upstream's stream back, ended or not. */
  #release(): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.upstream!.inFlight--;
    this.#starting?.stop(this);
    this.#starting = undefined;
    this.#server.close(codes.cancel);
  }

  // ---- what the upstream answers

  #onAnswerHead(block: HeaderBlock, end: boolean) {
    if (this.#phase === phases.over) return;
    if (block.tooLarge || block.malformed || block.method !== undefined) return this.#onBadAnswer();
    if (this.#phase === phases.answering) {
      if (!end || block.status !== 0) return this.#onBadAnswer();
      this.#note(block);
      this.#release();
      return this.client.end(block);
    }
    if (block.status < 200) return block.status === 0 || end ? this.#onBadAnswer() : undefined;
    if (block.notHere && end && this.#goesElsewhere(httpStatusOf(block.grpcStatus))) return this.#retry('not-here');
    this.#phase = phases.answering;
    this.#forget();
    this.status = block.status;
    if (!end) {
      const [one, two] = this.#timed ? this.#answerFields().map(asOwn) : noFields;
      return this.#session.sendHeaders(this.client.id, block, false, one, two);
    }
    this.#note(block);
    this.#release();
    this.client.end(block);
  }

  #onAnswerData(bytes: Buffer, start: number, end: number, isLast: boolean) {
    if (this.#phase === phases.over) return;
    if (this.#phase !== phases.answering) return this.#onBadAnswer();
    if (isLast) this.#release();
    this.client.write(bytes, start, end, isLast);
  }

  #onBadAnswer(): void {
    if (this.#phase === phases.answering) this.#fail();
    else this.#retry('protocol');
  }

  #goesElsewhere(status: number): boolean {
    const again = this.#canReplay && this.attempt < attemptsMax;
    return again && (this.#session.core.picker.elsewhere?.(this.upstream!, status, this) ?? false);
  }

  #note(block: HeaderBlock): void {
    if (this.status === 200 || this.status === 0)
      this.status = httpStatusOf(block.grpcStatus < 0 ? 2 : block.grpcStatus);
  }

  // ---- how it ends

  onReset(side: Side, code: number, unprocessed = false) {
    if (this.#phase === phases.over) return;
    if (side === this.client) return this.#onClientGone();
    const sent = this.#phase === phases.sent;
    this.#release();
    if (unprocessed && sent && this.#again(true)) return this.#ask();
    this.reason = sent ? 'upstream-reset' : 'truncated';
    this.status = 502;
    this.client.reset(code === codes.none ? codes.internal : code);
    this.#over();
  }

  onGone(side: Side, failure: 'reset' | 'protocol'): void {
    if (this.#phase === phases.over) return;
    if (side === this.client) this.#onClientGone();
    else if (this.#phase === phases.answering) this.#fail();
    else this.#retry(failure);
  }

  onSent(side: Side): void {
    if (side !== this.client || this.#phase === phases.over) return;
    this.client.close(codes.none);
    this.#over();
  }

  #onClientGone(): void {
    this.reason ??= 'client-gone';
    this.#over();
  }

  /** Answers the request ourselves. Nothing of another answer has gone out. */
  #refuse(refusal: Refusal): void {
    this.#release();
    this.status = refusal.status;
    this.reason = refusal.reason;
    this.client.end(refusalBlock(refusal, this.#answerFields()));
  }

  /** What we add to an answer that is ours, or whose times were asked for. */
  #answerFields(): Field[] {
    const { edge, name, clock } = this.#session.core;
    const fields = edge ? [new Field('x-request-id', this.requestId)] : [];
    if (!this.#timed) return fields;
    const times = { startedMs: this.startedMs, waitedMs: this.#waitedMs, sentMs: this.#sentMs };
    return [...fields, new Field('server-timing', serverTiming(name, times, clock.monotonic()))];
  }

  /** The answer has begun and cannot be completed. */
  #fail(refusal: Refusal = refusals.truncated): void {
    this.#release();
    this.status = refusal.status;
    this.reason = refusal.reason;
    this.client.drop();
    this.client.end(refusalTrailers(refusal));
  }

  #over(): void {
    this.#phase = phases.over;
    const { core } = this.#session;
    this.#unpark();
    this.#release();
    this.#forget();
    core.deadlines.remove(this);
    core.picker.onDone?.(this);
  }

  /** Something moved. */
  #touch(): void {
    const { deadlines, limits } = this.#session.core;
    const isStill = this.#phase === phases.reading || this.client.queued > 0 || this.#server.queued > 0;
    if (this.#phase === phases.waiting) return;
    this.deadlineMs = deadlines.in(isStill ? limits.idleTimeoutMs : this.responseTimeoutMs);
  }

  onDeadline(): void {
    if (this.#phase === phases.reading) this.#refuse(refusals.bodyTimeout);
    else if (this.#phase === phases.waiting)
      this.#refuse(this.#session.core.picker.waitedTooLong?.(this) ?? refusals.parkedMs);
    else if (this.#phase === phases.sent) this.#retry('timeout');
    else this.#stall();
  }

  /** The client reads too slowly, or the upstream says nothing more: neither gets more than a reset. */
  #stall(): void {
    this.reason = 'truncated';
    this.client.reset(codes.cancel);
    this.#over();
  }
}

const asOwn = ({ name, value }: Field) => ownField(name, value);

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
