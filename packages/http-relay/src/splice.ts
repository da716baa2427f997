import type { Fields } from './fields.ts';
import { known } from './fields.ts';
import { chunkedBody, methods, type RequestHead } from './request-head.ts';
import { type ResponseHead, untilClose } from './response-head.ts';
import { routes } from './route.ts';

const contentLength = Buffer.from('content-length: ');
const chunked = Buffer.from('transfer-encoding: chunked\r\n');
const close = Buffer.from('connection: close\r\n');
const keepAlive = Buffer.from('connection: keep-alive\r\n');
const hostName = Buffer.from('host: ');
const requestVersion = Buffer.from(' HTTP/1.1\r\n');
const responseVersion = Buffer.from('HTTP/1.1');
const predict = Buffer.from(':predict');

/** Which field lines do not go on, besides those that never do. */
type Dropped = {
  readonly host: boolean;
  readonly credentials: boolean;
  /** `Content-Length` goes on as it came. */
  readonly keepsLength: boolean;
};

/** What the relay adds to one head at most, besides `added`: framing, `x-request-id`, `connection`, a rewritten path. */
const addedMax = 512;

/** No larger, since one message that a slow client leaves unread keeps all of it. */
const arenaSize = 16 * 1024;
/** Kept for the next turn of the event loop. */
const arenasMax = 16;

/**
 * Builds one message at a time: pieces of what came, and what we add, copied behind each other and written at once.
 * `begin` with the room needed, then append, then `take`. Making memory for each message costs as much as filling it, so they lie
 * behind each other in arenas, which are used again once all that they hold has gone out. That is so when `isQuiet` says that
 * nothing waits for the end of a turn, and for what was not taken whole by then, `keep` was called.
 */
export class Splice {
  readonly #isQuiet: () => boolean;
  readonly #arenas = [Buffer.allocUnsafeSlow(arenaSize)];
  #current = 0;
  #out = this.#arenas[0]!;
  #start = 0;
  #at = 0;

  constructor(isQuiet: () => boolean) {
    this.#isQuiet = isQuiet;
  }

  begin(room: number): void {
    if (room > this.#out.length - this.#at) this.#turnOver(room);
    this.#start = this.#at;
  }

  #turnOver(room: number): void {
    if (this.#isQuiet()) this.reuse();
    if (room <= this.#out.length - this.#at) return;
    this.#at = 0;
    if (room > arenaSize) this.#out = Buffer.allocUnsafeSlow(room);
    else this.#out = this.#arenas[++this.#current] ??= Buffer.allocUnsafeSlow(arenaSize);
  }

  /** `message` has not gone out whole: it is never written over, and its memory is left to the collector. */
  keep(message: Buffer): void {
    const at = this.#arenas.findIndex(({ buffer }) => buffer === message.buffer);
    if (at < 0) return;
    this.#arenas[at] = Buffer.allocUnsafeSlow(arenaSize);
    if (at !== this.#current) return;
    this.#out = this.#arenas[at]!;
    this.#at = 0;
  }

  /** All that was taken has gone out, except what was kept. */
  reuse(): void {
    if (this.#arenas.length > arenasMax) this.#arenas.length = arenasMax;
    this.#current = this.#at = 0;
    this.#out = this.#arenas[0]!;
  }

  bytes(from: Buffer, start = 0, end = from.length): void {
    from.copy(this.#out, this.#at, start, end);
    this.#at += end - start;
  }

  /** ASCII, and short: a call into Node.js costs more than a few stores. */
  text(value: string): void {
    for (let i = 0; i < value.length; i++) this.#out[this.#at++] = value.charCodeAt(i);
  }

  number(value: number): void {
    let scale = 1;
    while (scale * 10 <= value) scale *= 10;
    for (let left = value; scale >= 1; scale /= 10) {
      const digit = Math.floor(left / scale);
      this.#out[this.#at++] = 0x30 + digit;
      left -= digit * scale;
    }
  }

  endLine(): void {
    this.#out[this.#at++] = 0x0d;
    this.#out[this.#at++] = 0x0a;
  }

  /**
   * The field lines that may pass, neighbours together, and with them what stands before the first from `start` on (negative:
   * nothing of it).
   */
  fields(bytes: Buffer, fields: Fields, named: readonly number[], start: number, drop: Dropped): void {
    let run = start;
    for (let n = 0; n < fields.count; n++) {
      const id = fields.id[n]!;
      const drops =
        (id >= known.removed && !(id === known.contentLength && drop.keepsLength)) ||
        (id === known.host && drop.host) ||
        (drop.credentials && (id === known.authorization || id === known.apiKey)) ||
        (named.length > 0 && isNamed(bytes, fields, n, named));
      if (!drops && run < 0) run = fields.lineStart[n]!;
      if (drops && run >= 0) {
        this.bytes(bytes, run, fields.lineStart[n]!);
        run = -1;
      }
    }
    if (run >= 0) this.bytes(bytes, run, fields.linesEnd);
  }

  framing(length: number): void {
    if (length === chunkedBody) this.bytes(chunked);
    else {
      this.bytes(contentLength);
      this.number(length);
      this.endLine();
    }
  }

  /** What was built. It stays as it is. */
  take(): Buffer {
    return this.#out.subarray(this.#start, this.#at);
  }
}

/** What a request says of itself as it goes on. */
export type OwnFields = {
  /** The field line of a `x-request-id` that we made. */
  readonly requestIdLine: Buffer | undefined;
  /** The field line of a `traceparent` that we made. */
  readonly traceLine: Buffer | undefined;
  /** `authorization` and `x-api-key` were for us. */
  readonly dropsCredentials: boolean;
};

/**
 * The request as it goes on: request line (prefix cut, origin form, model decoded), the fields that may pass, `added` lines,
 * those of `own`, framing in one form; then `[bodyStart, bodyEnd)` of the same bytes.
 */
export function splicedRequest(
  splice: Splice,
  head: RequestHead,
  added: Buffer,
  own: OwnFields,
  bodyStart: number,
  bodyEnd: number,
): Buffer {
  const { bytes } = head;
  const absolute = head.hostStart < head.targetEnd && head.hostEnd > head.hostStart;
  const isFramed = head.bodyLength !== 0 || head.method === methods.post;
  splice.begin(head.end - head.start + added.length + addedMax + bodyEnd - bodyStart);
  // A request line that goes on as it came is the neighbour of the fields behind it.
  const asItCame = head.pathCut === 0 && !head.escaped && !absolute && !head.http10;
  if (!asItCame) requestLine(splice, head, absolute);
  splice.fields(bytes, head.fields, head.named, asItCame ? head.start : -1, {
    host: absolute,
    credentials: own.dropsCredentials,
    keepsLength: isFramed && head.canonicalLength,
  });
  splice.bytes(added);
  if (own.requestIdLine !== undefined) splice.bytes(own.requestIdLine);
  if (own.traceLine !== undefined) splice.bytes(own.traceLine);
  if (isFramed && !head.canonicalLength) splice.framing(head.bodyLength);
  splice.endLine();
  if (bodyEnd > bodyStart) splice.bytes(bytes, bodyStart, bodyEnd);
  return splice.take();
}

function requestLine(splice: Splice, head: RequestHead, absolute: boolean): void {
  const { bytes } = head;
  splice.bytes(bytes, head.start, head.methodEnd + 1);
  if (head.escaped) escapedPath(splice, head);
  else splice.bytes(bytes, head.pathStart + head.pathCut, head.targetEnd);
  splice.bytes(requestVersion);
  if (absolute) {
    // RFC 9112 3.2.2: `Host` is written anew from the target that was asked for.
    splice.bytes(hostName);
    splice.bytes(bytes, head.hostStart, head.pathStart);
    splice.endLine();
  } else if (head.hostless) splice.text('host: unknown\r\n'); // HTTP/1.1 must have one
}

function escapedPath(splice: Splice, head: RequestHead): void {
  const { bytes, path } = head;
  splice.bytes(bytes, head.pathStart + head.pathCut, path.modelStart);
  splice.bytes(head.modelBytes, head.modelStart, head.modelEnd);
  if (head.route === routes.v1Predict) splice.bytes(predict);
  else splice.bytes(bytes, path.modelEnd, head.pathEnd);
  splice.bytes(bytes, head.pathEnd, head.targetEnd);
}

/** How the end of an answer's connection is announced to the client. */
export const persistence = { implied: 0, close: 1, keepAlive: 2 } as const;

/** What an answer says besides what the upstream said. */
export type AnswerFields = { readonly requestIdLine: Buffer | undefined; readonly text: string };

/**
 * The answer as it goes to the client. `length` is the framing to announce (`untilClose` announces none), `own` field lines
 * that we add; then `[bodyStart, bodyEnd)` of the same bytes.
 */
export function splicedResponse(
  splice: Splice,
  head: ResponseHead,
  length: number,
  persist: number,
  own: AnswerFields | undefined,
  bodyStart: number,
  bodyEnd: number,
): Buffer {
  const { bytes, http10 } = head;
  const keepsLength = head.canonicalLength && length === head.bodyLength;
  const text = own?.text ?? '';
  splice.begin(head.end - head.start + addedMax + text.length + bodyEnd - bodyStart);
  if (http10) {
    splice.bytes(responseVersion);
    splice.bytes(bytes, head.statusStart, head.fieldsStart);
  }
  const drop = { host: false, credentials: false, keepsLength };
  splice.fields(bytes, head.fields, head.named, http10 ? -1 : head.start, drop);
  if (own?.requestIdLine !== undefined) splice.bytes(own.requestIdLine);
  if (text !== '') splice.text(text);
  if (length !== untilClose && !keepsLength) splice.framing(length);
  if (persist === persistence.close) splice.bytes(close);
  else if (persist === persistence.keepAlive) splice.bytes(keepAlive);
  splice.endLine();
  if (bodyEnd > bodyStart) splice.bytes(bytes, bodyStart, bodyEnd);
  return splice.take();
}

function isNamed(bytes: Buffer, fields: Fields, n: number, named: readonly number[]): boolean {
  const start = fields.lineStart[n]!;
  const length = fields.nameEnd[n]! - start;
  for (let i = 0; i < named.length; i += 2) {
    const at = named[i]!;
    if (named[i + 1]! - at !== length) continue;
    let same = true;
    for (let j = 0; j < length && same; j++) same = (bytes[at + j]! | 0x20) === (bytes[start + j]! | 0x20);
    // `Host` is never dropped this way: what is routed by must be what goes on.
    if (same && fields.id[n] !== known.host) return true;
  }
  return false;
}
