import type { Socket } from 'node:net';
import { boxSize, giveBox, takeBox } from '../boxes.ts';
import { copyBytes } from '../bytes.ts';
import { frameHeadSize, frameSizeMax, frames, writeFrameHead } from './frames.ts';

/** Something that gathers what is to be written. */
type Flushable = { flush(): void };

/**
 * Gathers what is written during one turn of the event loop: each connection gets it in one write, and all writes come in a row. A
 * write wakes the process that waits for it; what follows before it has dealt with the first costs no other wake-up.
 */
export class Turn {
  #dirty: Flushable[] = [];
  readonly #onEnd: (() => void) | undefined;
  #flushing = false;

  /** `onEnd`: all of a turn has been flushed, and nothing else waits yet. */
  constructor(onEnd?: () => void) {
    this.#onEnd = onEnd;
  }

  /** Nothing waits to be flushed. */
  get isQuiet(): boolean {
    return this.#dirty.length === 0 && !this.#flushing;
  }

  /** `outbox` has something to flush at the turn's end. */
  add(outbox: Flushable): void {
    if (this.#dirty.push(outbox) === 1) setImmediate(this.#end);
  }

  readonly #end = (): void => {
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#flushing = true;
    for (const outbox of dirty) outbox.flush();
    this.#flushing = false;
    if (this.#dirty.length === 0) this.#onEnd?.();
  };
}

/** What goes out on one connection. */
export class Outbox {
  /** The socket has more than it can send: data waits in its stream until it has drained; everything else is small. */
  blocked = false;
  readonly #turn: Turn;
  readonly #socket: Socket;
  #bytes: Buffer | undefined;
  #at = 0;
  /** What the socket still refers to. */
  readonly #lent: Buffer[] = [];

  constructor(turn: Turn, socket: Socket) {
    this.#turn = turn;
    this.#socket = socket;
  }

  /** The socket has taken all that it had. */
  drained(): void {
    this.blocked = false;
    for (const box of this.#lent) giveBox(box);
    this.#lent.length = 0;
  }

  /** Bytes that the kernel has not taken. */
  get pending(): number {
    return this.#socket.writableLength;
  }

  /** Writes a frame's head; its `size` bytes of payload follow at the returned offset of `bytes`. */
  frame(type: number, flag: number, id: number, size: number): number {
    if (this.#bytes !== undefined && this.#at + frameHeadSize + size > boxSize) this.#write();
    if (this.#bytes === undefined) {
      this.#bytes = takeBox();
      this.#turn.add(this);
    }
    writeFrameHead(this.#bytes, this.#at, size, type, flag, id);
    const payload = this.#at + frameHeadSize;
    this.#at = payload + size;
    return payload;
  }

  /** What `frame` writes to. */
  get bytes(): Buffer {
    return this.#bytes!;
  }

  copy(type: number, flag: number, id: number, from: Buffer, start: number, end: number): void {
    const at = this.frame(type, flag, id, end - start);
    copyBytes(from, start, end, this.#bytes!, at);
  }

  /** The header block in the first `size` bytes, in as many frames as it needs. */
  headers(id: number, block: Buffer, size: number, flag: number, endHeaders: number): void {
    let type: number = frames.headers;
    let at = 0;
    do {
      const end = Math.min(size, at + frameSizeMax);
      const kept = type === frames.headers ? flag : 0;
      this.copy(type, end === size ? kept | endHeaders : kept, id, block, at, end);
      type = frames.continuation;
      at = end;
    } while (at < size);
  }

  /** Bytes outside of frames: the preface. */
  raw(text: string): void {
    this.#socket.write(text);
  }

  flush(): void {
    if (this.#bytes !== undefined) this.#write();
  }

  #write() {
    const bytes = this.#bytes!;
    this.#bytes = undefined;
    const size = this.#at;
    this.#at = 0;
    if (!this.#socket.writable) return giveBox(bytes);
    if (!this.#socket.write(bytes.subarray(0, size))) this.blocked = true;
    if (this.#socket.writableLength === 0) giveBox(bytes);
    else this.#lent.push(bytes);
  }
}
