import type { OnReadOpts } from 'node:net';
import { giveBox, takeBox } from './boxes.ts';

/** What one read brings at most, where the reader has no room of its own. */
export const readSize = 64 * 1024;

/** What all connections are read into: whoever reads takes what it needs before the next read. Small reads so stay in the CPU's cache. */
export const arrivals = Buffer.allocUnsafeSlow(readSize);

/**
 * How a socket is to read: into `room()`, or where there is none into `arrivals`. `onRead` gets `[0, size)` of either; false stops
 * reading. Left alone, Node.js makes a new 64 KiB buffer for every read (docs/adr/0008).
 */
export function readInto(room: () => Buffer | undefined, onRead: (bytes: Buffer, size: number) => boolean): OnReadOpts {
  let current: Buffer | undefined;
  const buffer = () => {
    const next = room() ?? arrivals;
    if (next === current) return undefined; // the read after this one goes where this one went
    current = next;
    return next;
  };
  // The types say that there is always a buffer; without one the socket keeps what it has.
  return { buffer: buffer as () => Buffer, callback: (size: number) => onRead(current!, size) };
}

/** Memory of one connection's own, while large reads follow each other: what is in it may go on without a copy. */
export class Room {
  #box: Buffer | undefined;

  /** The memory, as long as it is `wanted`. */
  take(wanted: boolean): Buffer | undefined {
    if (wanted) this.#box ??= takeBox();
    else if (this.#box !== undefined) {
      giveBox(this.#box);
      this.#box = undefined;
    }
    return this.#box;
  }

  /** Somebody still needs what is in it: there will be other memory. */
  leave(): void {
    this.#box = undefined;
  }
}
