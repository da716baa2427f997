import type { Server, Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Limits } from './limits.ts';

/** A certificate with its chain, and its key, both PEM. */
export type TlsIdentity = { readonly cert: string; readonly key: string };

export type TlsListener = {
  readonly server: Server;
  renew(identity: TlsIdentity): void;
  /** Ends every connection, those that have not agreed on a protocol yet too. */
  destroy(): void;
};

type Receivers = { onHttp1(socket: Socket): void; onHttp2(socket: Socket): void };

const optionsFor = ({ cert, key }: TlsIdentity): TlsOptions => ({ cert, key, minVersion: 'TLSv1.2' });

/** Accepts TLS connections, and hands each on by the protocol that was agreed on (ALPN, RFC 7301). */
export function createTlsListener(
  identity: TlsIdentity,
  { headTimeoutMs }: Limits,
  { onHttp1, onHttp2 }: Receivers,
): TlsListener {
  const open = new Set<Socket>();
  const server = createServer({
    ...optionsFor(identity),
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: headTimeoutMs,
    noDelay: true,
  });
  server
    .on('connection', (raw: Socket) => {
      open.add(raw);
      raw.on('close', () => open.delete(raw));
    })
    .on('tlsClientError', (_, socket: TLSSocket) => socket.destroy())
    .on('secureConnection', (socket: TLSSocket) => {
      // Node.js resets only plain sockets. Without a `close_notify` no client takes what came for complete either (RFC 8446 6.1).
      Object.assign(socket, { resetAndDestroy: () => socket.destroy() });
      if (socket.alpnProtocol === 'h2') onHttp2(socket);
      else onHttp1(socket);
    });
  return {
    server,
    renew: (next) => server.setSecureContext(optionsFor(next)),
    destroy() {
      for (const raw of open) raw.destroy();
    },
  };
}
