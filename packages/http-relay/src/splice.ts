import type { Fields } from './fields.ts';
import { known } from './fields.ts';
import { chunkedBody, methods, type RequestHead } from './request-head.ts';
import { type ResponseHead, untilClose } from './response-head.ts';
import { routes } from './route.ts';

const contentLength = Buffer.from('content-length: ');
const chunked = Buffer.from('transfer-encoding: chunked\r\n');
const close = Buffer.from('connection: close\r\n');
const keepAlive = Buffer.from('connection: keep-alive\r\n');
const requestId = Buffer.from('x-request-id: ');
const hostName = Buffer.from('host: ');
const requestVersion = Buffer.from(' HTTP/1.1\r\n');
const responseVersion = Buffer.from('HTTP/1.1');
const predict = Buffer.from(':predict');

/** What the relay adds to one head at most, besides `added`: framing, `x-request-id`, `connection`, a rewritten path. */
const addedMax = 512;

/**
 * Messages are built behind each other in one piece of memory: making one for each costs as much as filling it. No larger than this,
 * since one message that a slow client leaves unread keeps all of it.
 */
const arenaSize = 16 * 1024;

/**
 * Builds one message at a time: pieces of what came, and what we add, copied behind each other and written at once.
 * `begin` with the room needed, then append, then `take`.
 */
class Splice {
  #out = Buffer.allocUnsafeSlow(arenaSize);
  #start = 0;
  #at = 0;

  begin(room: number): void {
    // What was taken may still be on its way out, so it is never written over: used-up memory is left to the collector.
    if (room > this.#out.length - this.#at) {
      this.#out = Buffer.allocUnsafeSlow(Math.max(room, arenaSize));
      this.#at = 0;
    }
    this.#start = this.#at;
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

  /** The field lines that may pass, neighbours together. */
  fields(bytes: Buffer, fields: Fields, named: readonly number[], dropHost: boolean, dropCredentials: boolean): void {
    let run = -1;
    for (let n = 0; n < fields.count; n++) {
      const id = fields.id[n]!;
      const drop =
        id >= known.removed ||
        (dropHost && id === known.host) ||
        (dropCredentials && (id === known.authorization || id === known.apiKey)) ||
        (named.length > 0 && isNamed(bytes, fields, n, named));
      if (!drop && run < 0) run = fields.lineStart[n]!;
      if (drop && run >= 0) {
        this.bytes(bytes, run, fields.lineStart[n]!);
        run = -1;
      }
    }
    if (run >= 0) this.bytes(bytes, run, fields.lineEnd[fields.count - 1]!);
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

const splice = new Splice();

/** What a request says of itself as it goes on. */
export type OwnFields = {
  readonly requestId: string;
  /** The field line of a `traceparent` that we made. */
  readonly traceLine: Buffer | undefined;
  /** `authorization` and `x-api-key` were for us. */
  readonly dropsCredentials: boolean;
};

/**
 * The request as it goes on: request line (prefix cut, origin form, model decoded), the fields that may pass, `added` lines,
 * `x-request-id` unless there is one, framing in one form; then `[bodyStart, bodyEnd)` of the same bytes.
 */
export function splicedRequest(
  head: RequestHead,
  added: Buffer,
  own: OwnFields,
  bodyStart: number,
  bodyEnd: number,
): Buffer {
  const { bytes } = head;
  const absolute = head.hostStart < head.targetEnd && head.hostEnd > head.hostStart;
  splice.begin(head.end - head.start + added.length + addedMax + bodyEnd - bodyStart);
  if (head.pathCut === 0 && !head.escaped && !absolute) splice.bytes(bytes, head.start, head.targetEnd);
  else {
    splice.bytes(bytes, head.start, head.methodEnd + 1);
    if (head.escaped) escapedPath(head);
    else splice.bytes(bytes, head.pathStart + head.pathCut, head.targetEnd);
  }
  splice.bytes(requestVersion);
  if (absolute) {
    // RFC 9112 3.2.2: `Host` is written anew from the target that was asked for.
    splice.bytes(hostName);
    splice.bytes(bytes, head.hostStart, head.pathStart);
    splice.endLine();
  } else if (head.hostless) splice.text('host: unknown\r\n'); // HTTP/1.1 must have one
  splice.fields(bytes, head.fields, head.named, absolute, own.dropsCredentials);
  splice.bytes(added);
  if (!head.hasRequestId) {
    splice.bytes(requestId);
    splice.text(own.requestId);
    splice.endLine();
  }
  if (own.traceLine !== undefined) splice.bytes(own.traceLine);
  if (head.bodyLength !== 0 || head.method === methods.post) splice.framing(head.bodyLength);
  splice.endLine();
  if (bodyEnd > bodyStart) splice.bytes(bytes, bodyStart, bodyEnd);
  return splice.take();
}

function escapedPath(head: RequestHead): void {
  const { bytes, path } = head;
  splice.bytes(bytes, head.pathStart + head.pathCut, path.modelStart);
  splice.bytes(head.modelBytes, head.modelStart, head.modelEnd);
  if (head.route === routes.v1Predict) splice.bytes(predict);
  else splice.bytes(bytes, path.modelEnd, head.pathEnd);
  splice.bytes(bytes, head.pathEnd, head.targetEnd);
}

/** How the end of an answer's connection is announced to the client. */
export const persistence = { implied: 0, close: 1, keepAlive: 2 } as const;

/**
 * The answer as it goes to the client. `length` is the framing to announce (`untilClose` announces none), `own` field lines
 * that we add; then `[bodyStart, bodyEnd)` of the same bytes.
 */
export function splicedResponse(
  head: ResponseHead,
  length: number,
  persist: number,
  own: string,
  bodyStart: number,
  bodyEnd: number,
): Buffer {
  const { bytes } = head;
  splice.begin(head.end - head.statusStart + addedMax + own.length + bodyEnd - bodyStart);
  splice.bytes(responseVersion);
  splice.bytes(bytes, head.statusStart, head.fieldsStart);
  splice.fields(bytes, head.fields, head.named, false, false);
  if (own !== '') splice.text(own);
  if (length !== untilClose) splice.framing(length);
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
