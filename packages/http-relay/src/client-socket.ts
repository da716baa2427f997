import type { Reader } from './inbound.ts';

/** What a `Client` needs of its connection: a socket of node:net or node:tls, or one stream of an HTTP/2 connection. */
export type ClientSocket = {
  readonly remoteAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remotePort?: number | undefined;
  /** Of what was written, bytes that are still referred to. */
  readonly writableLength: number;
  /** Where there is none, it says `data`. */
  readBy?(reader: Reader): void;
  /** Writes a whole message with less ado. */
  writeWhole?(message: Uint8Array): boolean;
  write(part: Uint8Array | string): boolean;
  pause(): unknown;
  resume(): unknown;
  end(): unknown;
  destroy(): unknown;
  /** Ends it so that nobody takes what came for complete. */
  resetAndDestroy(): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): ClientSocket;
  on(event: 'drain' | 'end' | 'close', listener: () => void): ClientSocket;
  on(event: 'error', listener: (error: Error) => void): ClientSocket;
};
