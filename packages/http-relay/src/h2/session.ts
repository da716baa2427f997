import type { Socket } from 'node:net';
import type { Deadlines, Timed } from '../deadlines.ts';
import type { Limits } from '../limits.ts';
import type { OwnField } from '../own-field.ts';
import { headSizeMax } from '../request-head.ts';
import { Allowance } from './allowance.ts';
import { codes, FrameReader, type FrameReceiver, flags, frames, readUint32, writeUint32 } from './frames.ts';
import type { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { Outbox, type Turn } from './outbox.ts';
import { type Side, streamWindow } from './side.ts';
import { StreamTable } from './stream-table.ts';

export type SessionDeps = { readonly deadlines: Deadlines; readonly limits: Limits; readonly turn: Turn };

/** Of the connection as a whole: given back at once, so that a stream that stands still stops no other. */
const connectionWindow = 16 * 1024 * 1024;
const defaultWindow = 65_535;
const windowMax = 2 ** 31 - 1;
/** CONTINUATION frames of one block: 32 KiB need two, small frames some more. */
const continuationsMax = 16;
/** Frames that cost work and bring nothing: nghttp2 bounds them likewise (10,000 and 330/s). Each frame of substance pays for one. */
const idleFrames = { max: 1_000, perSecond: 100 } as const;
/** Answers to control frames that the other side does not read: beyond, it is an attack. Data never adds to this. */
const unreadMax = 512 * 1024;

/** The other side gets so long to read why its connection ends. */
const lingerMs = 2_000;

const settings = { tableSize: 1, push: 2, streamsMax: 3, initialWindow: 4, frameSize: 5, headerListSize: 6 } as const;

/** One HTTP/2 connection, either end: frames, header tables, windows, bounds. RFC 9113. */
export abstract class Session implements FrameReceiver, Timed {
  readonly socket: Socket;
  readonly streams = new StreamTable();
  /** Those with something to send that the windows, or the socket, did not take. */
  readonly waiting = new Set<Side>();
  sendWindow = defaultWindow;
  deadlineMs: number;
  place = -1;
  /** Streams that the other side takes at a time. */
  peerStreamsMax = 100;
  /** No new streams: one side has said goodbye. */
  draining = false;
  protected readonly deps: SessionDeps;
  /** The largest id of the other side's streams. */
  protected lastId = 0;
  protected closed = false;
  /** We have ended it, since the other side broke the rules. */
  protected broken = false;
  readonly #out: Outbox;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  #receiveWindow = connectionWindow;
  #peerWindow = defaultWindow;
  #settled = false;
  readonly #idleFrames: Allowance;
  /** A header block that is not all there, the id of its stream, and the HEADERS frame's flags. */
  #block: Buffer[] | undefined;
  #blockSize = 0;
  #blockId = 0;
  #blockFlags = 0;

  constructor(deps: SessionDeps, socket: Socket) {
    this.deps = deps;
    this.socket = socket;
    this.#out = new Outbox(deps.turn, socket);
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#idleFrames = new Allowance(idleFrames.max, idleFrames.perSecond, deps.deadlines.nowMs);
    deps.deadlines.add(this);
  }

  abstract onDeadline(): void;
  /** A message's header fields, or its trailers. */
  protected abstract onHeaders(id: number, block: HeaderBlock, end: boolean): void;
  /** A frame for a stream that is not, or no longer. Returns whether that can be. */
  protected abstract wasOpen(id: number): boolean;
  protected abstract onGoaway(lastId: number): void;
  /** A stream is over. */
  protected abstract onForgotten(): void;
  /** A stream was reset because the other side wanted it, or broke a rule. Returns false when that is too often. */
  protected abstract mayReset(): boolean;

  get blocked(): boolean {
    return this.#out.blocked;
  }

  // ---- what comes

  /** Returns whether to read on. */
  protected read(bytes: Buffer, start: number, end: number): boolean {
    if (this.closed) return false;
    const more = this.#reader.read(bytes, start, end);
    if (this.#out.pending > unreadMax) this.destroy();
    return more;
  }

  onFrameTooLarge(): void {
    this.fail(codes.frameSize);
  }

  onFrame(type: number, flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#block !== undefined && (type !== frames.continuation || id !== this.#blockId)) {
      return this.fail(codes.protocol);
    }
    if (!this.#settled && (type !== frames.settings || (flag & flags.ack) !== 0)) return this.fail(codes.protocol);
    switch (type) {
      case frames.data:
        return this.#onData(flag, id, bytes, start, end);
      case frames.headers:
        return this.#onHeadersFrame(flag, id, bytes, start, end);
      case frames.continuation:
        return this.#onContinuation(flag, bytes, start, end);
      case frames.windowUpdate:
        return this.#onWindowUpdate(id, bytes, start, end);
      case frames.reset:
        return this.#onReset(id, bytes, start, end);
      case frames.settings:
        return this.#onSettings(flag, id, bytes, start, end);
      case frames.ping:
        return this.#onPing(flag, id, bytes, start, end);
      case frames.goaway:
        if (id !== 0 || end - start < 8) return this.fail(codes.protocol);
        this.draining = true;
        this.onGoaway(readUint32(bytes, start) & windowMax);
        return !this.closed;
      case frames.pushPromise:
        return this.fail(codes.protocol);
      default: // PRIORITY, and what RFC 9113 5.5 has us ignore
        return this.#idle();
    }
  }

  #idle(): boolean {
    return this.#idleFrames.take(this.deps.deadlines.nowMs) || this.fail(codes.calm);
  }

  #onData(flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    const side = this.streams.get(id);
    if (side === undefined && !this.wasOpen(id)) return this.fail(codes.protocol);
    const size = end - start;
    this.#receiveWindow -= size;
    if (this.#receiveWindow < 0) return this.fail(codes.flowControl);
    if (this.#receiveWindow < connectionWindow / 2) {
      this.sendWindowUpdate(0, connectionWindow - this.#receiveWindow);
      this.#receiveWindow = connectionWindow;
    }
    let [from, to] = [start, end];
    if ((flag & flags.padded) !== 0) {
      if (size === 0 || bytes[start]! >= size) return this.fail(codes.protocol);
      from = start + 1;
      to = end - bytes[start]!;
    }
    const isLast = (flag & flags.endStream) !== 0;
    if (to > from) this.#idleFrames.earn();
    else if (!isLast && !this.#idle()) return false;
    if (side === undefined) return true; // it was reset: what is under way is dropped
    if (side.received) return this.#break(side, codes.streamClosed);
    side.receiveWindow -= size;
    if (side.receiveWindow < 0) return this.#break(side, codes.flowControl);
    if (isLast) side.received = true;
    if (size > to - from) side.report(size - (to - from));
    side.owner.onData(side, bytes, from, to, isLast);
    return !this.closed;
  }

  /** Ends a stream whose rules the other side broke. */
  #break(side: Side, code: number): boolean {
    side.reset(code);
    side.owner.onReset(side, code, false);
    // Whoever has us reset its streams costs as much as who resets them itself (CVE-2025-8671).
    if (!this.mayReset()) return this.fail(codes.calm);
    return !this.closed;
  }

  #onHeadersFrame(flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id === 0) return this.fail(codes.protocol);
    let [from, to] = [start, end];
    if ((flag & flags.padded) !== 0) {
      if (from >= to) return this.fail(codes.protocol);
      to -= bytes[from++]!;
    }
    if ((flag & flags.priority) !== 0) from += 5;
    if (from > to) return this.fail(codes.protocol);
    if ((flag & flags.endHeaders) !== 0) return this.#onBlock(flag, id, bytes, from, to);
    this.#block = [Buffer.from(bytes.subarray(from, to))];
    this.#blockSize = to - from;
    this.#blockId = id;
    this.#blockFlags = flag;
    return true;
  }

  #onContinuation(flag: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#block === undefined) return this.fail(codes.protocol);
    this.#block.push(Buffer.from(bytes.subarray(start, end)));
    this.#blockSize += end - start;
    if (this.#block.length > continuationsMax || this.#blockSize > headSizeMax) return this.fail(codes.calm);
    if ((flag & flags.endHeaders) === 0) return true;
    const whole = Buffer.concat(this.#block);
    this.#block = undefined;
    return this.#onBlock(this.#blockFlags, this.#blockId, whole, 0, whole.length);
  }

  #onBlock(flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    const block = this.#decoder.block(bytes, start, end);
    if (block === undefined) return this.fail(codes.compression);
    this.#idleFrames.earn();
    const isLast = (flag & flags.endStream) !== 0;
    const side = this.streams.get(id);
    if (side === undefined) this.onHeaders(id, block, isLast);
    else if (side.received) return this.#break(side, codes.streamClosed);
    else {
      if (isLast) side.received = true;
      side.owner.onHeaders(side, block, isLast);
    }
    return !this.closed;
  }

  #onReset(id: number, bytes: Buffer, start: number, end: number): boolean {
    if (end - start !== 4) return this.fail(codes.frameSize);
    const side = this.streams.get(id);
    if (side === undefined) return this.wasOpen(id) ? this.#idle() : this.fail(codes.protocol);
    if (!this.mayReset()) return this.fail(codes.calm);
    const code = readUint32(bytes, start);
    this.forget(side);
    side.lose();
    side.owner.onReset(side, code, code === codes.refused);
    return !this.closed;
  }

  #onSettings(flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id !== 0) return this.fail(codes.protocol);
    if ((end - start) % 6 !== 0) return this.fail(codes.frameSize);
    if ((flag & flags.ack) !== 0) return end === start ? this.#idle() : this.fail(codes.frameSize);
    if (this.#settled && !this.#idle()) return false;
    this.#settled = true;
    for (let at = start; at < end; at += 6) {
      const code = this.#onSetting((bytes[at]! << 8) | bytes[at + 1]!, readUint32(bytes, at + 2));
      if (code !== codes.none) return this.fail(code);
    }
    this.#out.frame(frames.settings, flags.ack, 0, 0);
    this.pump();
    return true;
  }

  #onSetting(name: number, value: number): number {
    switch (name) {
      case settings.tableSize:
        this.#encoder.resize(value);
        break;
      case settings.push:
        if (value > 1) return codes.protocol;
        break;
      case settings.streamsMax:
        this.peerStreamsMax = value;
        break;
      case settings.initialWindow:
        if (value > windowMax) return codes.flowControl;
        for (const side of this.streams.all()) side.sendWindow += value - this.#peerWindow;
        this.#peerWindow = value;
        break;
      case settings.frameSize:
        if (value < 16_384 || value > 2 ** 24 - 1) return codes.protocol;
        break;
    }
    return codes.none;
  }

  #onPing(flag: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id !== 0) return this.fail(codes.protocol);
    if (end - start !== 8) return this.fail(codes.frameSize);
    if (!this.#idle()) return false;
    if ((flag & flags.ack) === 0) this.#out.copy(frames.ping, flags.ack, 0, bytes, start, end);
    return true;
  }

  #onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): boolean {
    if (end - start !== 4) return this.fail(codes.frameSize);
    const size = readUint32(bytes, start) & windowMax;
    if (!this.#idle()) return false;
    if (id === 0) {
      this.sendWindow += size;
      if (size === 0) return this.fail(codes.protocol);
      if (this.sendWindow > windowMax) return this.fail(codes.flowControl);
      if (this.waiting.size > 0) this.pump();
      return true;
    }
    const side = this.streams.get(id);
    if (side === undefined) return this.wasOpen(id) || this.fail(codes.protocol);
    side.sendWindow += size;
    if (size === 0) return this.#break(side, codes.protocol);
    if (side.sendWindow > windowMax) return this.#break(side, codes.flowControl);
    while (side.queued > 0 && side.pump());
    return true;
  }

  // ---- what goes

  /** Says hello: settings, and the window of the connection. */
  protected hello(own: readonly (readonly [number, number])[]): void {
    const all = [...own, [settings.initialWindow, streamWindow], [settings.headerListSize, headSizeMax]] as const;
    let at = this.#out.frame(frames.settings, 0, 0, all.length * 6);
    for (const [name, value] of all) {
      this.#out.bytes[at] = 0;
      this.#out.bytes[at + 1] = name;
      writeUint32(this.#out.bytes, at + 2, value);
      at += 6;
    }
    this.sendWindowUpdate(0, connectionWindow - defaultWindow);
  }

  protected raw(text: string): void {
    this.#out.raw(text);
  }

  /** Opens `side` as stream `id`. */
  protected open(side: Side, id: number): void {
    side.session = this;
    side.id = id;
    side.sendWindow = this.#peerWindow;
    this.streams.add(side);
  }

  /** The stream is over on this connection. */
  forget(side: Side): void {
    if (this.waiting.size > 0) this.waiting.delete(side);
    if (this.streams.delete(side)) this.onForgotten();
  }

  sendHeaders(id: number, block: HeaderBlock, isLast: boolean, one?: OwnField, two?: OwnField): void {
    const size = this.#encoder.encode(block, block.kept, one, two);
    this.#out.headers(id, this.#encoder.bytes, size, isLast ? flags.endStream : 0, flags.endHeaders);
  }

  sendData(id: number, bytes: Buffer, start: number, end: number, isLast: boolean): void {
    this.sendWindow -= end - start;
    this.#idleFrames.earn(); // it may be answered with a window update
    this.#out.copy(frames.data, isLast ? flags.endStream : 0, id, bytes, start, end);
  }

  sendReset(id: number, code: number): void {
    this.#number(frames.reset, id, code);
  }

  sendWindowUpdate(id: number, size: number): void {
    this.#number(frames.windowUpdate, id, size);
  }

  #number(type: number, id: number, value: number): void {
    if (this.closed) return;
    const at = this.#out.frame(type, 0, id, 4);
    writeUint32(this.#out.bytes, at, value);
  }

  /** The socket has taken what it had. */
  protected onDrain(): void {
    this.#out.drained();
    this.pump();
  }

  /** Sends what waits: a frame of each stream in turn. */
  pump(): void {
    for (let more = this.waiting.size > 0; more; ) {
      more = false;
      for (const side of this.waiting) if (!this.closed && side.pump()) more = true;
    }
  }

  // ---- how it ends

  /** No new streams; those that are open go on. */
  protected goodbye(code: number): void {
    const at = this.#out.frame(frames.goaway, 0, 0, 8);
    writeUint32(this.#out.bytes, at, this.lastId);
    writeUint32(this.#out.bytes, at + 4, code);
  }

  /** The other side broke the rules: all that it has here ends. Returns false. */
  fail(code: number): false {
    if (this.closed) return false;
    this.goodbye(code);
    this.#out.flush();
    this.closed = this.broken = true;
    this.deadlineMs = this.deps.deadlines.in(lingerMs);
    this.socket.destroySoon();
    this.#dropStreams();
    return false;
  }

  /** Sends what there is, and that nothing follows. */
  protected finish(): void {
    this.#out.flush();
    this.socket.end();
  }

  /** The connection is gone, and its streams learn it. */
  protected abandon(): void {
    this.closed = true;
    this.deps.deadlines.remove(this);
    this.#dropStreams();
  }

  #dropStreams(): void {
    for (const side of this.streams.all()) {
      this.forget(side);
      side.lose();
      side.owner.onGone(side, this.broken ? 'protocol' : 'reset');
    }
  }

  destroy(): void {
    this.closed = true;
    this.socket.destroy();
  }
}
