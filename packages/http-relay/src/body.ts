import { CR, hexValue, LF, SEMICOLON } from './bytes.ts';
import { Fields, known } from './fields.ts';
import { chunkedBody } from './request-head.ts';
import { untilClose } from './response-head.ts';

/** Bytes of all trailer fields together; gRPC-like uses need a few hundred. */
const trailersSizeMax = 8 * 1024;
/** Bytes of one chunk's extensions: nobody uses them; they are dropped. */
const extensionSizeMax = 256;
/** Hexadecimal digits of a chunk's size: 12 can be counted exactly and are more than any disk. */
const sizeDigitsMax = 12;

const states = {
  size: 0,
  extension: 1,
  sizeEnd: 2,
  data: 3,
  dataCr: 4,
  dataLf: 5,
  trailer: 6,
  trailers: 7,
  done: 8,
  broken: 9,
} as const;

/** What ends a trailer section. */
export const emptyLine = Buffer.from('\r\n');
const fields = new Fields();

/**
 * Follows one body through the bytes as they come, in runs: those of a run are either kept as they are or cut. What is kept
 * (with `tail` behind it) is the body in canonical form; with `dataOnly`, its content without any framing.
 */
export class Body {
  /** Of the last run: it belongs to what goes on. */
  kept = false;
  /** To be written behind all runs, once `done`: what the trailer section becomes. */
  tail: Buffer | undefined;
  /** The trailer fields that may pass, once `done`, when `dataOnly`. */
  trailers: Buffer | undefined;
  /** Bytes of content so far. */
  size = 0;
  #length = 0;
  #left = 0;
  #state: number = states.done;
  #digits = 0;
  #dataOnly = false;
  #partialTrailers: Buffer | undefined;

  /** `length`: bytes, `chunkedBody` or `untilClose`. */
  begin(length: number, dataOnly: boolean): void {
    this.#length = length;
    this.#dataOnly = dataOnly;
    this.#left = length;
    this.#digits = this.size = 0;
    this.tail = this.trailers = this.#partialTrailers = undefined;
    this.#state = length === chunkedBody ? states.size : length === 0 ? states.done : states.data;
  }

  get done(): boolean {
    return this.#state === states.done;
  }

  get broken(): boolean {
    return this.#state === states.broken;
  }

  /** Bytes to come, where that is known. */
  get left(): number {
    return this.#state === states.done ? 0 : this.#length >= 0 ? this.#left : Number.POSITIVE_INFINITY;
  }

  /** Nothing more will come. False if something is missing. */
  finish(): boolean {
    if (this.#length === untilClose) this.#state = states.done;
    return this.done;
  }

  /** Goes through one run from `at`; returns its end. Stops at `end`, behind the body, or where it is broken. */
  run(bytes: Buffer, at: number, end: number): number {
    if (this.#length !== chunkedBody) return this.#plain(at, end);
    this.kept = true;
    let i = at;
    while (i < end && this.#state < states.done) {
      const cuts = this.#cuts();
      if (i > at && cuts === this.kept) return i;
      this.kept = !cuts;
      i = this.#step(bytes, i, end);
    }
    return i;
  }

  #plain(at: number, end: number): number {
    this.kept = true;
    if (this.#length === untilClose) return end;
    const taken = Math.min(this.#left, end - at);
    this.#left -= taken;
    this.size += taken;
    if (this.#left === 0) this.#state = states.done;
    return at + taken;
  }

  #cuts(): boolean {
    const state = this.#state;
    if (state === states.data) return false;
    return this.#dataOnly || state === states.extension || state >= states.trailer;
  }

  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case states.data: {
        const taken = Math.min(this.#left, end - at);
        this.#left -= taken;
        this.size += taken;
        if (this.#left === 0) this.#state = states.dataCr;
        return at + taken;
      }
      case states.size:
        return this.#size(bytes, at, end);
      case states.extension:
        return this.#extension(bytes, at, end);
      case states.trailer:
      case states.trailers:
        return this.#trailer(bytes, at, end);
      case states.dataCr:
        this.#state = bytes[at] === CR ? states.dataLf : states.broken;
        return at + 1;
      case states.dataLf:
        this.#state = bytes[at] === LF ? states.size : states.broken;
        this.#left = this.#digits = 0;
        return at + 1;
      case states.sizeEnd:
        if (bytes[at] !== LF) return this.#break(at);
        if (this.#left === 0 && !this.#dataOnly && at + 2 < end && bytes[at + 1] === CR && bytes[at + 2] === LF) {
          this.#state = states.done; // no trailers, as nearly always
          return at + 3;
        }
        this.#state = this.#left === 0 ? states.trailer : states.data;
        return at + 1;
    }
    return end;
  }

  #size(bytes: Buffer, at: number, end: number): number {
    if (this.#digits === 0) this.#left = 0;
    let i = at;
    for (; i < end; i++) {
      const digit = hexValue(bytes[i]!);
      if (digit < 0) break;
      if (++this.#digits > sizeDigitsMax) return this.#break(i);
      this.#left = this.#left * 16 + digit;
    }
    if (i === end) return i;
    if (this.#digits === 0) return this.#break(i);
    if (bytes[i] === SEMICOLON) {
      this.#digits = 0;
      this.#state = states.extension;
      return i;
    }
    if (bytes[i] !== CR) return this.#break(i);
    this.#state = states.sizeEnd;
    return i + 1;
  }

  #extension(bytes: Buffer, at: number, end: number): number {
    for (let i = at; i < end; i++) {
      if (bytes[i] === CR) {
        // The CR is part of what is kept, so it is read again, as the end of the size.
        this.#state = states.size;
        this.#digits = 1;
        return i;
      }
      if (bytes[i] === LF || bytes[i]! < 0x09 || ++this.#digits > extensionSizeMax) return this.#break(i);
    }
    return end;
  }

  /** Collects the trailer section, then leaves of it what may pass. */
  #trailer(bytes: Buffer, at: number, end: number): number {
    const before = this.#partialTrailers?.length ?? 0;
    const part = bytes.subarray(at, end);
    const all = this.#partialTrailers === undefined ? part : Buffer.concat([this.#partialTrailers, part]);
    const length = fields.parse(all, 0, all.length);
    if (length < 0 || Math.max(length, all.length * Number(length === 0)) > trailersSizeMax) return this.#break(at);
    if (length === 0) {
      this.#partialTrailers = Buffer.from(all); // `bytes` may be reused
      this.#state = states.trailers;
      return end;
    }
    this.#state = states.done;
    if (this.#dataOnly) this.trailers = fields.count === 0 ? undefined : passing(all);
    else this.tail = fields.count === 0 ? emptyLine : passing(all);
    return at + length - before;
  }

  #break(at: number): number {
    this.#state = states.broken;
    return at;
  }
}

function passing(all: Buffer): Buffer {
  const lines: Buffer[] = [];
  for (let n = 0; n < fields.count; n++) {
    const id = fields.id[n]!;
    if (id === known.other) lines.push(Buffer.from(all.subarray(fields.lineStart[n]!, fields.lineEnd[n]!)));
  }
  return Buffer.concat([...lines, emptyLine]);
}
