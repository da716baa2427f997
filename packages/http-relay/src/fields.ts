import { COLON, CR, equalsLower, isFieldValue, isToken, LF, SPACE, TAB } from './bytes.ts';
import { timingName } from './timing.ts';

/** Fields in one head. nginx and Node.js allow more; no client of a prediction comes near. */
const fieldsMax = 100;

/** Fields that the relay itself acts on; 0 is every other one. Those from `removed` on never go through unchanged. */
export const known = {
  other: 0,
  requestId: 1,
  expect: 2,
  host: 3,
  traceparent: 4,
  timing: 5,
  authorization: 6,
  apiKey: 7,
  /** Fields that say what a body is: `Content-Type`, or that of V2's binary tensors. */
  bodyType: 8,
  networkProbe: 9,
  removed: 10,
  contentLength: 10,
  transferEncoding: 11,
  connection: 12,
  keepAlive: 13,
  proxyConnection: 14,
  te: 15,
  upgrade: 16,
  http2Settings: 17,
  notHere: 18,
} as const;

/** Set by an agent on its own refusals, and by nobody else: the model is not on this replica. */
export const notHereName = 'x-roundhouse-not-here';

/** Of V2's binary tensor extension: the JSON's length, behind which the tensors' bytes follow. */
const binaryTensorsName = 'inference-header-content-length';

/** What went wrong in a head, as a negative HTTP status, so that one number says "incomplete" (0), "how long" or "why not". */
export const bad = -400;
export const tooLarge = -431;
export const notImplemented = -501;
export const wrongVersion = -505;

/** The field lines of one head or trailer section, as offsets into the bytes they were read from. Reused: read it at once. */
export class Fields {
  count = 0;
  /** Behind the last line, before the empty one. */
  linesEnd = 0;
  readonly lineStart = new Int32Array(fieldsMax);
  readonly nameEnd = new Int32Array(fieldsMax);
  readonly valueStart = new Int32Array(fieldsMax);
  readonly valueEnd = new Int32Array(fieldsMax);
  readonly lineEnd = new Int32Array(fieldsMax);
  readonly id = new Uint8Array(fieldsMax);

  /** Reads lines from `at` to the empty line. Returns the offset behind it, 0 if it is not there yet, or why not. */
  parse(bytes: Uint8Array, at: number, end: number): number {
    this.count = 0;
    for (let i = at; ; ) {
      if (i >= end) return 0;
      if (bytes[i] === CR) {
        if (i + 1 >= end) return 0;
        this.linesEnd = i;
        return bytes[i + 1] === LF ? i + 2 : bad;
      }
      if (this.count === fieldsMax) return tooLarge;
      i = this.#line(bytes, i, end);
      if (i <= 0) return i;
    }
  }

  #line(bytes: Uint8Array, start: number, end: number): number {
    let i = start;
    while (i < end && isToken(bytes[i]!)) i++;
    if (i >= end) return 0;
    if (bytes[i] !== COLON || i === start) return bad; // also a folded line: it starts with a space
    const nameEnd = i++;
    while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
    const valueStart = i;
    while (i < end && isFieldValue(bytes[i]!)) i++;
    if (i + 1 >= end) return i < end && bytes[i] !== CR ? bad : 0;
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return bad; // a bare CR or LF, NUL and the like
    let valueEnd = i;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
    const n = this.count++;
    this.lineStart[n] = start;
    this.nameEnd[n] = nameEnd;
    this.valueStart[n] = valueStart;
    this.valueEnd[n] = valueEnd;
    this.lineEnd[n] = i + 2;
    this.id[n] = idOf(bytes, start, nameEnd);
    return i + 2;
  }

  /** The `Content-Length` in field `n`, or -1: digits only, and few enough to be counted exactly. */
  lengthOf(bytes: Uint8Array, n: number): number {
    const start = this.valueStart[n]!;
    const end = this.valueEnd[n]!;
    if (end === start || end - start > 15) return -1;
    let length = 0;
    for (let i = start; i < end; i++) {
      const digit = bytes[i]! - 0x30;
      if (digit < 0 || digit > 9) return -1;
      length = length * 10 + digit;
    }
    return length;
  }

  /** Whether field `n`, a length, stands there as we would write it but for its name's case: nobody can read it otherwise. */
  isCanonical(bytes: Uint8Array, n: number): boolean {
    const start = this.valueStart[n]!;
    const isPlain = start === this.nameEnd[n]! + 2 && bytes[start - 1] === SPACE;
    const isShortest = bytes[start] !== 0x30 || this.valueEnd[n] === start + 1;
    return isPlain && isShortest && this.lineEnd[n] === this.valueEnd[n]! + 2;
  }

  /** The value of the first field called `name` (lower case), as Latin-1. */
  text(bytes: Buffer, name: string): string | undefined {
    for (let n = 0; n < this.count; n++) {
      if (equalsLower(bytes, this.lineStart[n]!, this.nameEnd[n]!, name)) {
        return bytes.toString('latin1', this.valueStart[n], this.valueEnd[n]);
      }
    }
    return undefined;
  }

  /** Calls `token` for each element of the list in field `n`. */
  eachToken(bytes: Uint8Array, n: number, token: (start: number, end: number) => void): void {
    const end = this.valueEnd[n]!;
    for (let i = this.valueStart[n]!; i < end; i++) {
      const start = i;
      while (i < end && isToken(bytes[i]!)) i++;
      if (i > start) token(start, i);
    }
  }
}

function idOf(bytes: Uint8Array, start: number, end: number): number {
  const is = (text: string, id: number) => (equalsLower(bytes, start, end, text) ? id : known.other);
  switch (end - start) {
    case 9:
      return is('x-api-key', known.apiKey);
    case 11:
      return is('traceparent', known.traceparent);
    case 13:
      return is('authorization', known.authorization);
    case timingName.length:
      return is(timingName, known.timing);
    case 2:
      return is('te', known.te);
    case 4:
      return is('host', known.host);
    case 6:
      return is('expect', known.expect);
    case 7:
      return is('upgrade', known.upgrade);
    case 10:
      return is('connection', known.connection) || is('keep-alive', known.keepAlive);
    case 12:
      return is('x-request-id', known.requestId) || is('content-type', known.bodyType);
    case 14:
      return is('content-length', known.contentLength) || is('http2-settings', known.http2Settings);
    case 15:
      return is('k-network-probe', known.networkProbe);
    case 16:
      return is('proxy-connection', known.proxyConnection);
    case 17:
      return is('transfer-encoding', known.transferEncoding);
    case binaryTensorsName.length:
      return is(binaryTensorsName, known.bodyType);
    case notHereName.length:
      return is(notHereName, known.notHere);
  }
  return known.other;
}
