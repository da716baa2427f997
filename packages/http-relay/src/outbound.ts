import type { Socket } from 'node:net';

/** One write under way in libuv. */
type WriteRequest = { oncomplete?: (status: number) => void; bytes?: Uint8Array };

type Streams = {
  readonly WriteWrap: new () => WriteRequest;
  readonly streamBaseState: Readonly<Record<number, number>>;
  readonly kLastWriteWasAsync: number;
};

type Handle = { writeBuffer(request: WriteRequest, bytes: Uint8Array): number };

type Internals = { readonly _handle?: Handle | null; readonly encrypted?: boolean };

const streams = bindingOf(process as unknown as { binding?(name: string): Partial<Streams> });

function bindingOf({ binding }: { binding?(name: string): Partial<Streams> }): Streams | undefined {
  try {
    const found = binding?.('stream_wrap');
    const isWhole = found?.WriteWrap !== undefined && found.streamBaseState !== undefined;
    return isWhole && found.kLastWriteWasAsync !== undefined ? (found as Streams) : undefined;
  } catch {
    return undefined; // not in this Node.js, or not allowed
  }
}

let spare: WriteRequest | undefined;

/** Whether `writeWhole` gets by without the stream in this Node.js. */
export const writesDirectly = streams !== undefined;

/**
 * Writes a whole message. What the kernel takes at once, as it nearly always does, needs nothing of a stream's queue, state and
 * callbacks, and these cost a tenth of a small request (docs/adr/0008). False as for `socket.write`: wait for `drain`.
 */
export function writeWhole(socket: Socket, bytes: Uint8Array): boolean {
  const { _handle: handle, encrypted } = socket as unknown as Internals;
  const isBusy = socket.connecting || socket.writableLength > 0 || socket.writableCorked > 0;
  if (streams === undefined || !handle?.writeBuffer || encrypted === true || isBusy) return socket.write(bytes);
  spare ??= new streams.WriteWrap();
  const request = spare;
  const problem = handle.writeBuffer(request, bytes);
  if (problem !== 0) {
    socket.destroy();
    return true;
  }
  if (streams.streamBaseState[streams.kLastWriteWasAsync] === 0) return true;
  // The rest waits in libuv: what is written meanwhile waits in the stream.
  spare = undefined;
  request.bytes = bytes; // must live until then
  socket.cork();
  request.oncomplete = (status) => {
    if (socket.destroyed) return;
    if (status < 0) return void socket.destroy();
    socket.uncork();
    if (socket.writableLength === 0) socket.emit('drain');
  };
  return false;
}
