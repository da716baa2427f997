import { frameSizeMax } from './frames.ts';
import type { HeaderBlock } from './header-block.ts';
import { Held } from './held.ts';

/** What the other side may send on one stream before we have passed it on. */
export const streamWindow = 128 * 1024;

/** Whoever joins the two sides of a stream. */
export type StreamOwner = {
  onHeaders(side: Side, block: HeaderBlock, end: boolean): void;
  /** The bytes are overwritten afterwards. */
  onData(side: Side, bytes: Buffer, start: number, end: number, isLast: boolean): void;
  /** Reset by the other side, or by us because it broke the rules; `unprocessed`: nobody has looked at the request. */
  onReset(side: Side, code: number, unprocessed: boolean): void;
  /** The connection is gone. */
  onGone(side: Side, failure: 'reset' | 'protocol'): void;
  /** Its end has been sent. */
  onSent(side: Side): void;
};

const none: Buffer[] = [];
const empty = Buffer.alloc(0);

/** What a stream asks of the connection that it is on. */
export type SideSession = {
  /** Streams that have something to send and no room for it. */
  readonly waiting: Set<Side>;
  readonly sendWindow: number;
  /** The socket takes no more for now. */
  readonly blocked: boolean;
  forget(side: Side): void;
  sendHeaders(id: number, block: HeaderBlock, isLast: boolean): void;
  sendData(id: number, bytes: Buffer, start: number, end: number, isLast: boolean): void;
  sendReset(id: number, code: number): void;
  sendWindowUpdate(id: number, size: number): void;
};

/**
 * One of the two connections that a relayed stream has, with what waits to be sent on it. Its window is given back to the other
 * side only as bytes go out here: that is all the back-pressure there is, and it concerns this stream alone.
 */
export class Side {
  readonly owner: StreamOwner;
  /** Where what is sent here comes from. */
  other!: Side;
  session: SideSession | undefined;
  id = 0;
  sendWindow = 0;
  receiveWindow = streamWindow;
  /** The other end has sent its end; or nothing that it sends is of interest any more. */
  received = false;
  /** Our end has been sent. */
  sent = false;
  #unreported = 0;
  #held: Held | undefined;
  #queue: Buffer[] = none;
  #queueAt = 0;
  /** Bytes that wait. */
  queued = 0;
  /** Of those, bytes whose window was given back before: they are sent a second time. */
  repeated = 0;
  /** The end follows what waits, with trailers or without. */
  #ending = false;
  #trailers: HeaderBlock | undefined;

  constructor(owner: StreamOwner) {
    this.owner = owner;
  }

  /** What waits is `parts`, of which the first `repeated` bytes have been sent before, elsewhere. */
  preload(parts: Buffer[], size: number, repeated: number, isLast: boolean): void {
    this.#queue = parts;
    this.#queueAt = 0;
    this.queued = size;
    this.repeated = repeated;
    this.#ending = isLast;
  }

  /** What waits, as one piece. */
  waiting(): Buffer {
    if (this.#queue.length > 1) this.#queue = [Buffer.concat(this.#queue)];
    return this.#queue[0] ?? empty;
  }

  /** Sends `[start, end)`, or keeps what the windows do not take. */
  write(bytes: Buffer, start: number, end: number, isLast: boolean) {
    if (isLast) this.#ending = true;
    const at = this.queued === 0 && this.session !== undefined ? this.#send(bytes, start, end) : start;
    if (at === end) return this.#finish();
    this.#hold(bytes, at, end);
    this.queued += end - at;
    this.session?.waiting.add(this);
  }

  #hold(bytes: Buffer, start: number, end: number): void {
    if (this.queued === 0) {
      this.#empty();
      this.#held ??= new Held();
      this.#held.add(bytes, start, end);
      this.#queue = this.#held.parts;
    } else if (this.#queue === this.#held?.parts) this.#held.add(bytes, start, end);
    else this.#queue.push(Buffer.from(bytes.subarray(start, end)));
  }

  #empty(): void {
    this.#held?.clear();
    this.#queue = none;
    this.#queueAt = 0;
  }

  /** Ends what is sent here, once nothing waits. */
  end(trailers: HeaderBlock | undefined): void {
    this.#ending = true;
    this.#trailers = trailers;
    this.#finish();
  }

  /** Forgets what waits. */
  drop(): void {
    this.#empty();
    this.queued = 0;
    this.session?.waiting.delete(this);
  }

  /** Sends of what waits as much as the windows take, at most a frame. Returns whether it sent something. */
  pump(): boolean {
    if (this.session === undefined || this.sent) return false;
    if (this.queued === 0) {
      this.#finish();
      return false;
    }
    const first = this.#queue[0]!;
    const before = this.#queueAt;
    const end = Math.min(first.length, before + frameSizeMax);
    const size = this.#send(first, before, end) - before;
    this.#queueAt += size;
    if (this.#queueAt === first.length) {
      this.#queue.shift();
      this.#queueAt = 0;
    }
    if (this.queued === 0) {
      this.#empty();
      this.session?.waiting.delete(this);
      this.#finish();
    }
    return size > 0;
  }

  /** Bytes that came here have gone out on the other side. */
  report(size: number): void {
    this.#unreported += size;
    if (this.received || this.#unreported < streamWindow / 2) return;
    this.receiveWindow += this.#unreported;
    this.session?.sendWindowUpdate(this.id, this.#unreported);
    this.#unreported = 0;
  }

  /** Ends the stream on this side at once, if it has not ended yet. */
  reset(code: number): void {
    const { session } = this;
    if (session === undefined) return;
    session.forget(this);
    if (!this.received || !this.sent) session.sendReset(this.id, code);
    this.lose();
  }

  /** The stream is gone: nothing comes, and nothing can be sent. */
  lose(): void {
    this.drop();
    this.received = this.sent = true;
    this.session = undefined;
  }

  /** The stream is over: ends it, with `code` if one of its ends has not come. */
  close(code: number): void {
    if (this.received && this.sent) {
      this.session?.forget(this);
      this.session = undefined;
    } else this.reset(code);
  }

  #send(bytes: Buffer, start: number, end: number): number {
    const session = this.session!;
    let at = start;
    while (at < end) {
      const size = Math.min(end - at, frameSizeMax, this.sendWindow, session.sendWindow);
      if (size <= 0 || session.blocked) break;
      const whole = at + size === end && (this.queued === 0 || this.queued === end - at);
      const isLast = whole && this.#ending && this.#trailers === undefined;
      session.sendData(this.id, bytes, at, at + size, isLast);
      this.sendWindow -= size;
      at += size;
      if (this.queued > 0) this.queued -= size;
      const again = Math.min(size, this.repeated);
      this.repeated -= again;
      this.other.report(size - again);
      if (isLast) this.#onSent();
    }
    return at;
  }

  #finish(): void {
    if (!this.#ending || this.queued > 0 || this.sent || this.session === undefined) return;
    if (this.#trailers === undefined) this.session.sendData(this.id, empty, 0, 0, true);
    else this.session.sendHeaders(this.id, this.#trailers, true);
    this.#onSent();
  }

  #onSent(): void {
    this.sent = true;
    this.session?.waiting.delete(this);
    this.owner.onSent(this);
  }
}
