import { Socket, type SocketConstructorOpts } from 'node:net';
import { writeWhole } from './outbound.ts';
import { readInto } from './reads.ts';

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

type Internals = { _handle?: object | null };

/**
 * A socket in place of `accepted` that reads into memory of ours, or `accepted` itself where Node.js keeps handles elsewhere. Node.js
 * has `onread` for connections that we make and not for those that we accept, so the handle is given to a socket that has it (docs/adr/0008).
 */
export function inbound(accepted: Socket): ReadableSocket {
  const internals = accepted as unknown as Internals;
  const handle = internals._handle;
  if (typeof handle !== 'object' || handle === null) return accepted;
  let reader: Reader | undefined;
  internals._handle = null;
  const onread = readInto(
    () => reader?.room(),
    (bytes, size) => {
      reader?.onRead(bytes, size);
      return true;
    },
  );
  const options: unknown = { handle, onread };
  const socket = new Socket(options as SocketConstructorOpts) as ReadableSocket;
  socket.readBy = (next) => {
    reader = next;
  };
  socket.writeWhole = (message) => writeWhole(socket, message);
  socket.once('close', () => accepted.destroy()); // its server counts it
  return socket;
}
