import { EventEmitter } from 'node:events';
import { Body } from '../body.ts';
import { Client } from '../client.ts';
import type { ClientSocket } from '../client-socket.ts';
import type { Core } from '../core.ts';
import type { Timed } from '../deadlines.ts';
import { malformed, renderedRefusal } from '../refusal.ts';
import { chunkedBody } from '../request-head.ts';
import { ResponseHead } from '../response-head.ts';
import { persistence } from '../splice.ts';
import { Field, kinds } from './field.ts';
import { codes } from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { Side, type StreamOwner } from './side.ts';

/** What the client's windows did not take yet, beyond which the upstream is not read. */
const unsentMax = 64 * 1024;

const lastChunk = Buffer.from('0\r\n\r\n');
/** Answers pass through here within one call. */
const responseHead = new ResponseHead();

/** What a stream asks of its client's connection. */
type ClientSession = {
  readonly core: Core;
  readonly remoteAddress: string | undefined;
  sendHeaders(id: number, block: HeaderBlock, isLast: boolean): void;
};

/** The other end of a side whose bytes go nowhere else: it only hears that they went. */
class Drained extends Side {
  override report(): void {
    (this.owner as HttpStream).onRoom();
  }
}

/**
 * One request over HTTP/2 that is not gRPC. Replicas speak HTTP/1.1 for these, so the stream poses as a connection with one
 * request on it: what `Client` does for HTTP/1.1 (routing, waiting, retries, limits, refusals) holds here unchanged.
 * The length that a client declares is held against what it sends: RFC 9113 8.1.1.
 */
export class HttpStream extends EventEmitter implements ClientSocket, StreamOwner, Timed {
  readonly client: Side;
  readonly writableLength = 0; // whatever is written is copied
  deadlineMs = Number.POSITIVE_INFINITY;
  place = -1;
  readonly #session: ClientSession;
  readonly #block: HeaderBlock;
  /** Bytes of the body to come, or `chunkedBody`. */
  #left = 0;
  #paused = false;
  /** Parts that nobody takes yet, and what each has cost of the stream's window. */
  #input: { readonly part: Buffer; readonly size: number }[] = [];
  #blocked = false;
  readonly #answer = new Body();
  #answering = false;
  /** The answer is all there, or there will be none. */
  #complete = false;
  #closed = false;

  constructor(session: ClientSession, block: HeaderBlock) {
    super();
    this.#session = session;
    this.#block = block;
    this.client = new Side(this);
    this.client.other = new Drained(this);
    session.core.deadlines.add(this);
  }

  get remoteAddress(): string | undefined {
    return this.#session.remoteAddress;
  }

  /** Starts, once the client's side is open. */
  begin() {
    const { tooLarge } = this.#block;
    const method = this.#block.method!.value;
    if (tooLarge) return void this.write(renderedRefusal(malformed(431), persistence.implied, method === 'HEAD'));
    const length = this.#declared();
    if (length === undefined) return this.#break();
    this.#left = length;
    new Client(this.#session.core, this);
    this.emit('data', this.#requestHead(length));
  }

  /** The length of the body: undefined when it cannot be. */
  #declared(): number | undefined {
    const fields = this.#block.fields.filter(({ kind }) => kind === kinds.contentLength);
    if (fields.length === 0) return this.client.received ? 0 : chunkedBody;
    const { value } = fields[0]!;
    if (fields.length > 1 || !/^\d{1,15}$/.test(value)) return undefined;
    return this.client.received && Number(value) > 0 ? undefined : Number(value);
  }

  #requestHead(length: number): Buffer {
    const { method, path, authority, kept } = this.#block;
    const cookies = kept.filter(({ name }) => name === 'cookie').map(({ value }) => value);
    const lines = [`${method!.value} ${path!.value} HTTP/1.1`, `host: ${authority?.value ?? ''}`];
    for (const { name, value, kind } of kept) {
      const isPseudo = kind >= kinds.method && kind <= kinds.status;
      if (!isPseudo && kind !== kinds.te && name !== 'cookie') lines.push(`${name}: ${value}`);
    }
    if (cookies.length > 0) lines.push(`cookie: ${cookies.join('; ')}`); // RFC 9113 8.2.3
    if (length === chunkedBody) lines.push('transfer-encoding: chunked');
    else if (length > 0 || method!.value === 'POST') lines.push(`content-length: ${length}`);
    return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  }

  // ---- what the client sends

  onHeaders(_: Side, __: HeaderBlock, end: boolean): void {
    if (end)
      this.#endRequest(); // trailers: no model server reads them
    else this.#break();
  }

  onData(_: Side, bytes: Buffer, start: number, end: number, isLast: boolean) {
    if (this.#closed) return;
    const size = end - start;
    if (this.#left !== chunkedBody) {
      if (size > this.#left) return this.#break();
      this.#left -= size;
      if (size > 0) this.#take(Buffer.from(bytes.subarray(start, end)), size);
    } else if (size > 0) {
      const head = Buffer.from(`${size.toString(16)}\r\n`);
      this.#take(Buffer.concat([head, bytes.subarray(start, end), lastChunk.subarray(1, 3)]), size);
    }
    if (isLast) this.#endRequest();
  }

  #endRequest() {
    if (this.#left > 0) return this.#break();
    if (this.#left === chunkedBody) this.#take(lastChunk, 0);
    this.#left = 0;
  }

  /** Hands it on, or keeps it while nobody takes it: the stream's window bounds how much that can be. */
  #take(part: Buffer, size: number): void {
    if (this.#paused || this.#input.length > 0) this.#input.push({ part, size });
    else this.#give(part, size);
  }

  #give(part: Buffer, size: number): void {
    this.client.report(size);
    this.emit('data', part);
  }

  /** The client broke its own rules. */
  #break(): void {
    this.client.reset(codes.protocol);
    this.#close();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (!this.#paused && this.#input.length > 0) {
      const { part, size } = this.#input.shift()!;
      this.#give(part, size);
    }
  }

  // ---- what goes to the client

  /** Heads come whole, each in a write of its own or with the beginning of its body. */
  write(part: Uint8Array | string): boolean {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'latin1') : (part as Buffer);
    let at = 0;
    while (!this.#answering && at < bytes.length && !this.#complete) at = this.#head(bytes, at);
    while (at < bytes.length && !this.#answer.done && !this.#complete) {
      const from = at;
      at = this.#answer.run(bytes, from, bytes.length);
      if (this.#answer.kept && at > from) this.client.write(bytes, from, at, false);
    }
    if (this.#answering && this.#answer.done && !this.#complete) this.#end();
    this.#blocked = this.client.queued > unsentMax;
    return !this.#blocked;
  }

  #head(bytes: Buffer, at: number): number {
    const end = responseHead.parse(bytes, at, bytes.length);
    if (end <= 0) {
      this.resetAndDestroy();
      return bytes.length;
    }
    const { status, bodyLength } = responseHead;
    const block = answerBlock(responseHead);
    const bodyless = this.#block.method!.value === 'HEAD' || status === 204 || status === 304;
    const isLast = status >= 200 && (bodyless || bodyLength === 0);
    if (status >= 200) {
      this.#answering = true;
      this.#answer.begin(bodyless ? 0 : bodyLength, true);
    }
    if (isLast) {
      this.#complete = true;
      this.client.end(block);
    } else this.#session.sendHeaders(this.client.id, block, false);
    return end;
  }

  #end(): void {
    this.#complete = true;
    const { core } = this.#session;
    this.deadlineMs = core.deadlines.in(core.limits.idleTimeoutMs);
    this.client.end(this.#answer.trailers === undefined ? undefined : trailerBlock(this.#answer.trailers));
  }

  onRoom(): void {
    if (this.#complete) this.deadlineMs = this.#session.core.deadlines.in(this.#session.core.limits.idleTimeoutMs);
    if (!this.#blocked || this.client.queued > unsentMax / 2) return;
    this.#blocked = false;
    this.emit('drain');
  }

  onSent(): void {
    this.client.close(codes.none);
    // The client's last write is not over yet when this is called.
    process.nextTick(() => this.#close());
  }

  // ---- how it ends

  end(): void {
    if (!this.#complete) this.resetAndDestroy();
  }

  destroy(): void {
    this.resetAndDestroy();
  }

  resetAndDestroy(): void {
    this.#complete = true;
    this.client.reset(codes.internal);
    process.nextTick(() => this.#close());
  }

  onReset(): void {
    this.#close();
  }

  onGone(): void {
    this.#close();
  }

  /** The client does not read its answer. */
  onDeadline(): void {
    this.client.reset(codes.cancel);
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#complete = true;
    this.#input = [];
    this.#session.core.deadlines.remove(this);
    this.emit('close');
  }
}

const connectionFields: ReadonlySet<string> = new Set(['connection', 'transfer-encoding', 'keep-alive', 'upgrade']);

function answerBlock({ bytes, status, fields }: ResponseHead): HeaderBlock {
  const all = [new Field(':status', `${status}`)];
  let length: Field | undefined;
  for (let n = 0; n < fields.count; n++) {
    const name = bytes.toString('latin1', fields.lineStart[n], fields.nameEnd[n]).toLowerCase();
    const field = new Field(name, bytes.toString('latin1', fields.valueStart[n], fields.valueEnd[n]));
    if (field.kind === kinds.contentLength) length = field;
    else if (!connectionFields.has(name)) all.push(field);
  }
  const block = new HeaderBlock(all);
  if (length !== undefined) block.kept.push(length); // for HEAD it is all there is
  return block;
}

function trailerBlock(lines: Buffer): HeaderBlock | undefined {
  const text = lines.toString('latin1').split('\r\n').filter(Boolean);
  const fields = text.map((line) => {
    const colon = line.indexOf(':');
    return new Field(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  });
  return fields.length === 0 ? undefined : new HeaderBlock(fields);
}
