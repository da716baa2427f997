import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';

export type Reading = {
  readonly requests: { readonly line: string; readonly body: string }[];
  /** The code of the error that the parser gave, if it did. */
  readonly error: string | undefined;
};

/** What Node.js' own server reads in `bytes`, all of a connection. */
export function readByNode(server: Server, bytes: Buffer): Promise<Reading> {
  return new Promise((resolve) => {
    const requests: { line: string; body: string }[] = [];
    let error: string | undefined;
    const socket = new Duplex({
      read() {},
      write: (_, __, done) => done(),
      final: (done) => done(),
    });
    const onRequest = (req: IncomingMessage, res: ServerResponse) => {
      if (req.socket !== (socket as never)) return;
      const request = { line: `${req.method} ${req.url}`, body: '' };
      requests.push(request);
      req
        .setEncoding('latin1')
        .on('data', (part: string) => {
          request.body += part;
        })
        .on('error', () => {})
        .on('end', () => res.end());
    };
    const onError = (problem: NodeJS.ErrnoException, from: unknown) => {
      if (from !== socket) return;
      if (problem.code !== 'HPE_INVALID_EOF_STATE' && problem.code !== 'ECONNRESET') error = String(problem.code);
      socket.destroy();
    };
    server.on('request', onRequest).on('clientError', onError);
    socket.on('close', () => {
      server.off('request', onRequest).off('clientError', onError);
      resolve({ requests, error });
    });
    server.emit('connection', socket);
    if (bytes.length > 0) socket.push(bytes);
    socket.push(null);
  });
}
