import { Socket, type SocketConstructorOpts } from 'node:net';
import { writeWhole } from './outbound.ts';

/** Whoever reads a client's connection now. */
export type Reader = {
  /** `[0, size)` of `bytes` came. They are overwritten afterwards, unless `bytes` is the room that the reader gave. */
  onRead(bytes: Buffer, size: number): void;
  /** Memory of the reader's own for what comes next; undefined: where everybody's goes. */
  room(): Buffer | undefined;
};

export type ReadableSocket = Socket & {
  /** Reads through `reader` from now on; a socket without this says `data`. */
  readBy?(reader: Reader): void;
  /** As `write`, with less ado. */
  writeWhole?(message: Uint8Array): boolean;
};

/** What one read brings at most. */
export const readSize = 64 * 1024;

type Internals = { _handle?: object | null };

/**
 * Connections that read into memory of ours: one buffer for all of them, since whoever reads takes what it needs before the next
 * read. Left alone, Node.js makes a new 64 KiB buffer for every read. It has `onread` against that, for connections that we make
 * and not for those that we accept, so the accepted handle is given to a socket that has it (docs/adr/0008).
 */
export class Inbound {
  readonly #shared = Buffer.allocUnsafeSlow(readSize);

  /** A socket in place of `accepted`, or `accepted` itself where Node.js keeps handles elsewhere. */
  open(accepted: Socket): ReadableSocket {
    const internals = accepted as unknown as Internals;
    const handle = internals._handle;
    if (typeof handle !== 'object' || handle === null) return accepted;
    let reader: Reader | undefined;
    internals._handle = null;
    const buffer = () => reader?.room() ?? this.#shared;
    const callback = (size: number, bytes: Uint8Array) => {
      reader?.onRead(bytes as Buffer, size);
      return true;
    };
    const options: unknown = { handle, onread: { buffer, callback } };
    const socket = new Socket(options as SocketConstructorOpts) as ReadableSocket;
    socket.readBy = (next) => {
      reader = next;
    };
    socket.writeWhole = (message) => writeWhole(socket, message);
    socket.once('close', () => accepted.destroy()); // its server counts it
    return socket;
  }
}
