import {
  CR,
  equals,
  equalsLower,
  hexValue,
  isHost,
  isTarget,
  isToken,
  isUnreserved,
  LF,
  PERCENT,
  SLASH,
  SPACE,
  startsWith,
} from './bytes.ts';
import { bad, Fields, known, notImplemented, tooLarge, wrongVersion } from './fields.ts';
import { hasModel, isDots, Path, type Route, routes } from './route.ts';

/** Bytes of one head, request or answer: what uvicorn (64 KiB) and Node.js (16 KiB) take lies around it. */
export const headSizeMax = 32 * 1024;
/** A name longer than this is no Kubernetes name (253). */
const modelNameMax = 256;

export const methods = { other: 0, get: 1, head: 2, post: 3 } as const;

/** How long the body is: a length, or chunked. */
export const chunkedBody = -1;

/**
 * One request head, read strictly and in place: offsets into `bytes`, no strings. Reused for every request of a relay: what
 * `pick` wants to keep, it copies.
 */
export class RequestHead {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  /** Behind the empty line. */
  end = 0;
  method: number = methods.other;
  methodEnd = 0;
  http10 = false;
  /** The path: from here, without scheme and authority, to `pathEnd`; the query follows up to `targetEnd`. */
  pathStart = 0;
  pathEnd = 0;
  targetEnd = 0;
  /** Without the port, as it came; empty in HTTP/1.0 without `Host`. */
  hostStart = 0;
  hostEnd = 0;
  /** Bytes cut from the front of the path. */
  pathCut = 0;
  route: Route = routes.unknown;
  /** The model's name, decoded: `[modelStart, modelEnd)` of `modelBytes`. Empty when the path names none. */
  modelBytes: Buffer = this.bytes;
  modelStart = 0;
  modelEnd = 0;
  /** The path has to be written anew, because its model was percent-encoded. */
  escaped = false;
  /** Length of the body, or `chunkedBody`. */
  bodyLength = 0;
  keepAlive = true;
  expectContinue = false;
  hasRequestId = false;
  hasTrace = false;
  wantsTiming = false;
  /** It has the field of a probe: KServe's and Knative's pods are asked for their health on the port of their traffic. */
  isProbe = false;
  /** A field says what the body is. */
  hasBodyType = false;
  hostless = false;
  /** The length is declared just as we would declare it. */
  canonicalLength = false;
  readonly fields = new Fields();
  readonly path = new Path();
  /** Fields named by `Connection`, as offset pairs: they end here too. */
  readonly named: number[] = [];
  readonly #decoded = Buffer.alloc(modelNameMax);

  /** The model's name as text, for logs and messages. */
  modelName(): string {
    return this.modelBytes.toString('latin1', this.modelStart, this.modelEnd);
  }

  /** The value of the first field called `name` (lower case). */
  field(name: string): string | undefined {
    return this.fields.text(this.bytes, name);
  }

  /** Reads a head from `start`. Returns the offset behind it, 0 when it is not all there, or a negative HTTP status. */
  parse(bytes: Buffer, start: number, end: number): number {
    const result = this.#parse(bytes, start, end);
    if (result === 0) return end - start >= headSizeMax ? tooLarge : 0;
    return result > 0 && result - start > headSizeMax ? tooLarge : result;
  }

  /** Says what the path asks for, once the first `pathCut` bytes of it are cut. Returns false when it is malformed. */
  classify(pathCut: number): boolean {
    this.pathCut = pathCut;
    const path = this.path;
    this.route = path.parse(this.bytes, this.pathStart + pathCut, this.pathEnd);
    this.escaped = path.escaped;
    this.modelBytes = this.bytes;
    this.modelStart = path.modelStart;
    this.modelEnd = hasModel(this.route) ? path.modelEnd : path.modelStart;
    return !path.escaped || this.#decode();
  }

  #parse(bytes: Buffer, start: number, end: number): number {
    this.bytes = bytes;
    let i = start;
    if (bytes[i] === CR) {
      if (i + 1 >= end) return 0;
      if (bytes[i + 1] !== LF) return bad;
      i += 2; // RFC 9112 2.2: one empty line before a request is forgiven
    }
    this.start = i;
    while (i < end && isToken(bytes[i]!)) i++;
    if (i >= end) return i - this.start > 32 ? bad : 0;
    if (bytes[i] !== SPACE || i === this.start) return bad;
    this.methodEnd = i;
    this.method = methodOf(bytes, this.start, i);
    const target = ++i;
    while (i < end && isTarget(bytes[i]!)) i++;
    if (i >= end) return 0;
    if (bytes[i] !== SPACE || i === target) return bad;
    this.targetEnd = i++;
    if (end - i < 10)
      return equals(bytes, i, end, 'HTTP/1.1\r\n'.slice(0, end - i)) ||
        equals(bytes, i, end, 'HTTP/1.0\r\n'.slice(0, end - i))
        ? 0
        : bad;
    if (!startsWith(bytes, i, 'HTTP/') || bytes[i + 6] !== 0x2e) return bad;
    if (bytes[i + 5] !== 0x31 || (bytes[i + 7] !== 0x30 && bytes[i + 7] !== 0x31)) return wrongVersion;
    if (bytes[i + 8] !== CR || bytes[i + 9] !== LF) return bad;
    this.http10 = bytes[i + 7] === 0x30;
    i = this.fields.parse(bytes, i + 10, end);
    if (i <= 0) return i;
    this.end = i;
    const problem = this.#meaning(target);
    return problem < 0 ? problem : i;
  }

  /** What the known fields say, taken together. */
  #meaning(target: number): number {
    const { fields, bytes } = this;
    this.keepAlive = !this.http10;
    this.expectContinue =
      this.hasRequestId =
      this.hasTrace =
      this.wantsTiming =
      this.hasBodyType =
      this.isProbe =
        false;
    this.bodyLength = 0;
    this.canonicalLength = false;
    if (this.named.length > 0) this.named.length = 0; // even of an empty one, setting it costs a call
    let host = -1;
    let length = -1;
    let chunked = false;
    for (let n = 0; n < fields.count; n++) {
      switch (fields.id[n]) {
        case known.host:
          if (host >= 0) return bad;
          host = n;
          break;
        case known.contentLength:
          if (length >= 0) return bad; // even two that agree: somebody behind us may count differently
          length = fields.lengthOf(bytes, n);
          if (length < 0) return bad;
          this.canonicalLength = fields.isCanonical(bytes, n);
          break;
        case known.transferEncoding:
          if (chunked || this.http10) return bad;
          if (!equalsLower(bytes, fields.valueStart[n]!, fields.valueEnd[n]!, 'chunked')) return notImplemented;
          chunked = true;
          break;
        case known.connection:
          this.#connection(n);
          break;
        case known.expect:
          if (!equalsLower(bytes, fields.valueStart[n]!, fields.valueEnd[n]!, '100-continue')) return -417;
          this.expectContinue = !this.http10;
          break;
        case known.requestId:
          this.hasRequestId = true;
          break;
        case known.traceparent:
          this.hasTrace = true;
          break;
        case known.timing:
          this.wantsTiming = true;
          break;
        case known.bodyType:
          this.hasBodyType = true;
          break;
        case known.networkProbe:
          this.isProbe = true;
          break;
      }
    }
    if (chunked && length >= 0) return bad;
    if (chunked) this.bodyLength = chunkedBody;
    else if (length > 0) this.bodyLength = length;
    if (this.named.length > 0) this.canonicalLength = false; // it may be named itself
    return this.#hostAndPath(host, target);
  }

  #connection(n: number): void {
    this.fields.eachToken(this.bytes, n, (start, end) => {
      if (equalsLower(this.bytes, start, end, 'close')) this.keepAlive = false;
      else if (!equalsLower(this.bytes, start, end, 'keep-alive')) this.named.push(start, end);
      else if (this.http10) this.keepAlive = true;
    });
  }

  #hostAndPath(n: number, target: number): number {
    const { bytes, fields } = this;
    if (n < 0 && !this.http10) return bad;
    this.hostless = n < 0;
    this.hostStart = n < 0 ? target : fields.valueStart[n]!;
    const hostValueEnd = n < 0 ? target : fields.valueEnd[n]!;
    for (let i = this.hostStart; i < hostValueEnd; i++) if (!isHost(bytes[i]!)) return bad;
    this.pathStart = target;
    if (bytes[target] !== SLASH) {
      const problem = this.#absolute(target, n < 0 ? -1 : hostValueEnd);
      if (problem < 0) return problem;
    } else this.hostEnd = hostValueEnd;
    this.hostEnd = withoutPort(bytes, this.hostStart, this.hostEnd);
    let i = this.pathStart;
    for (; i < this.targetEnd && bytes[i] !== 0x3f; i++) {
      if (bytes[i] === PERCENT && (hexValue(bytes[i + 1]!) < 0 || hexValue(bytes[i + 2]!) < 0)) return bad;
    }
    this.pathEnd = i;
    return 1;
  }

  /** `http://host/path`, as a proxy may be asked: only for the host that `Host` names. `*` and `host:port` are refused. */
  #absolute(target: number, hostValueEnd: number): number {
    const { bytes } = this;
    let start = 0;
    if (equalsLower(bytes, target, target + 7, 'http://')) start = target + 7;
    else if (equalsLower(bytes, target, target + 8, 'https://')) start = target + 8;
    if (start === 0 || start >= this.targetEnd)
      return equals(bytes, this.start, this.methodEnd, 'CONNECT') ? notImplemented : bad;
    let end = start;
    while (end < this.targetEnd && isHost(bytes[end]!)) end++;
    if (end === start || end >= this.targetEnd || bytes[end] !== SLASH) return bad;
    if (hostValueEnd >= 0) {
      if (hostValueEnd - this.hostStart !== end - start) return bad;
      for (let i = 0; i < end - start; i++) {
        if ((bytes[start + i]! | 0x20) !== (bytes[this.hostStart + i]! | 0x20)) return bad;
      }
    }
    this.hostless = false;
    this.hostStart = start;
    this.hostEnd = end;
    this.pathStart = end;
    return 1;
  }

  /** Decodes the model's name once. A name holds only characters that need no escape, so whatever else comes out is no name. */
  #decode(): boolean {
    const { bytes } = this;
    let length = 0;
    for (let i = this.modelStart; i < this.modelEnd; i++) {
      let byte = bytes[i]!;
      if (byte === PERCENT) {
        byte = (hexValue(bytes[i + 1]!) << 4) | hexValue(bytes[i + 2]!);
        i += 2;
        if (byte < SPACE || byte === 0x7f) return false;
        if (byte === SLASH) {
          this.route = routes.unknown;
          return true;
        }
      }
      if (length === modelNameMax || !isUnreserved(byte)) {
        this.route = routes.unknown;
        return true;
      }
      this.#decoded[length++] = byte;
    }
    if (isDots(this.#decoded, 0, length)) this.route = routes.unknown;
    this.modelBytes = this.#decoded;
    this.modelStart = 0;
    this.modelEnd = length;
    return true;
  }
}

function methodOf(bytes: Buffer, start: number, end: number): number {
  if (equals(bytes, start, end, 'POST')) return methods.post;
  if (equals(bytes, start, end, 'GET')) return methods.get;
  return equals(bytes, start, end, 'HEAD') ? methods.head : methods.other;
}

function withoutPort(bytes: Buffer, start: number, end: number): number {
  let i = end;
  while (i > start && bytes[i - 1]! >= 0x30 && bytes[i - 1]! <= 0x39) i--;
  return i > start && bytes[i - 1] === 0x3a ? i - 1 : end;
}
