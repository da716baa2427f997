import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export type FakeServer = {
  /** Without a slash at its end. */
  readonly url: string;
  /** `METHOD target`, in the order they came. */
  readonly requests: readonly string[];
  /** Requests that are being answered now, and the most there ever were at a time. */
  readonly underWay: number;
  readonly mostUnderWay: number;
  /** Open connections that carry a request. */
  readonly sockets: number;
  close(): Promise<void>;
};

export type Listen = { readonly host: string; readonly port: number };

/** A free port of the loopback interface. */
const nearby: Listen = { host: '127.0.0.1', port: 0 };

/** An HTTP server that counts what happens to it. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<unknown>,
  { host, port }: Listen = nearby,
): Promise<FakeServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const busy = new Set<ServerResponse>();
  let most = 0;

  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    busy.add(response);
    most = Math.max(most, busy.size);
    response.on('close', () => busy.delete(response));
    answer(request, response).catch((error: Error) => response.writeHead(500).end(error.stack));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get underWay() {
      return busy.size;
    },
    get mostUnderWay() {
      return most;
    },
    get sockets() {
      return sockets.size;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
