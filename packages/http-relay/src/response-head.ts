import { CR, equalsLower, isFieldValue, LF, SPACE, startsWith } from './bytes.ts';
import { bad, Fields, known, tooLarge } from './fields.ts';
import { chunkedBody, headSizeMax } from './request-head.ts';

/** The body ends where the connection ends. */
export const untilClose = -2;

/** One response head of an upstream, read as strictly as a request. Reused. */
export class ResponseHead {
  bytes: Buffer = Buffer.alloc(0);
  status = 0;
  start = 0;
  /** Behind `HTTP/1.x`: the status line goes on from here. */
  statusStart = 0;
  fieldsStart = 0;
  end = 0;
  /** `Content-Length`, `chunkedBody` or `untilClose`, before method and status are looked at. */
  bodyLength = untilClose;
  keepAlive = true;
  notHere = false;
  hasRequestId = false;
  http10 = false;
  /** The length is declared just as we would declare it. */
  canonicalLength = false;
  readonly fields = new Fields();
  readonly named: number[] = [];

  /** Reads a head from `start`. Returns the offset behind it, 0 when it is not all there, or a negative number when broken. */
  parse(bytes: Buffer, start: number, end: number): number {
    const result = this.#parse(bytes, start, end);
    if (result === 0) return end - start >= headSizeMax ? tooLarge : 0;
    return result > 0 && result - start > headSizeMax ? tooLarge : result;
  }

  #parse(bytes: Buffer, start: number, end: number): number {
    this.bytes = bytes;
    if (end - start < 13) return 0; // "HTTP/1.1 200" and one more
    if (!startsWith(bytes, start, 'HTTP/1.') || bytes[start + 8] !== SPACE) return bad;
    const minor = bytes[start + 7]! - 0x30;
    if (minor !== 0 && minor !== 1) return bad;
    this.start = start;
    this.http10 = minor === 0;
    this.statusStart = start + 8;
    this.status = 0;
    for (let i = start + 9; i < start + 12; i++) {
      const digit = bytes[i]! - 0x30;
      if (digit < 0 || digit > 9) return bad;
      this.status = this.status * 10 + digit;
    }
    if (this.status < 100) return bad;
    let i = start + 12;
    if (bytes[i] !== SPACE && bytes[i] !== CR) return bad;
    while (i < end && isFieldValue(bytes[i]!)) i++;
    if (i + 1 >= end) return i < end && bytes[i] !== CR ? bad : 0;
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return bad;
    this.fieldsStart = i + 2;
    i = this.fields.parse(bytes, i + 2, end);
    if (i <= 0) return i;
    this.end = i;
    return this.#meaning() ? i : bad;
  }

  #meaning(): boolean {
    const { fields, bytes, http10 } = this;
    this.keepAlive = !http10;
    this.notHere = this.hasRequestId = this.canonicalLength = false;
    if (this.named.length > 0) this.named.length = 0;
    let length = -1;
    let chunked = false;
    for (let n = 0; n < fields.count; n++) {
      switch (fields.id[n]) {
        case known.contentLength: {
          const value = fields.lengthOf(bytes, n);
          if (value < 0 || length >= 0) return false;
          length = value;
          this.canonicalLength = fields.isCanonical(bytes, n);
          break;
        }
        case known.transferEncoding:
          if (chunked || http10 || !equalsLower(bytes, fields.valueStart[n]!, fields.valueEnd[n]!, 'chunked'))
            return false;
          chunked = true;
          break;
        case known.connection:
          fields.eachToken(bytes, n, (start, end) => {
            if (equalsLower(bytes, start, end, 'close')) this.keepAlive = false;
            else if (!equalsLower(bytes, start, end, 'keep-alive')) this.named.push(start, end);
          });
          break;
        case known.notHere:
          this.notHere = true;
          break;
        case known.requestId:
          this.hasRequestId = true;
          break;
      }
    }
    if (chunked && length >= 0) return false;
    if (this.named.length > 0) this.canonicalLength = false; // it may be named itself
    this.bodyLength = chunked ? chunkedBody : length >= 0 ? length : untilClose;
    return true;
  }
}
