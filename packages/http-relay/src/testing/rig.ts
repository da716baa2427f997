import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock, systemRandom } from '@roundhouse/base';
import { createRelay, type Relay, type RelayOptions, type Upstream } from '../index.ts';

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Relays, upstreams and clients on loopback, closed together. */
export function createRig() {
  const stops: (() => unknown)[] = [];

  const start = async (server: Server, port: number) => {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
    return (server.address() as AddressInfo).port;
  };

  return {
    /** An upstream that speaks HTTP as Node.js does. */
    async http(handler: HttpHandler, port = 0) {
      const server = createHttpServer({ keepAliveTimeout: 60_000 }, handler);
      const stop = () => {
        server.closeAllConnections();
        return new Promise<void>((resolve) => server.close(() => resolve()));
      };
      stops.push(stop);
      return { server, stop, port: await start(server, port) };
    },
    /** An upstream that does with its sockets whatever `accept` does. */
    async net(accept: (socket: Socket) => void) {
      const sockets = new Set<Socket>();
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {}).on('close', () => sockets.delete(socket));
        accept(socket);
      });
      stops.push(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      return { sockets, port: await start(server, 0) };
    },
    /** A relay whose every request goes to `upstreamPort`, unless `options` pick otherwise. */
    async relay(upstreamPort: number, options: Partial<RelayOptions> = {}) {
      const relay: Relay = createRelay({
        clock: systemClock,
        random: systemRandom,
        name: 'test',
        pick: () => upstream,
        ...options,
      });
      const upstream: Upstream = relay.upstream({ host: '127.0.0.1', port: upstreamPort });
      stops.push(() => relay.close(AbortSignal.abort()));
      const { port } = await relay.listen({ host: '127.0.0.1', port: 0 });
      return { relay, upstream, port };
    },
    /** A client that writes and reads bytes. */
    async client(port: number) {
      const socket = connect(port, '127.0.0.1');
      const client = {
        socket,
        /** All that came, as Latin-1. */
        text: '',
        closed: false,
        /** A reset, or whatever else went wrong. */
        error: undefined as NodeJS.ErrnoException | undefined,
        send(text: string | Buffer) {
          socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
        },
        until: (condition: () => boolean) => until(condition),
      };
      socket
        .on('data', (chunk) => {
          client.text += chunk.toString('latin1');
        })
        .on('error', (error) => {
          client.error = error;
        })
        .on('close', () => {
          client.closed = true;
        });
      stops.push(() => socket.destroy());
      await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
      return client;
    },
    /** Sends `text` and returns all that comes until the connection is closed. */
    async exchange(port: number, text: string) {
      const client = await this.client(port);
      client.send(text);
      await until(() => client.closed);
      return client.text;
    },
    async close() {
      for (const stop of stops.splice(0).reverse()) await stop();
    },
  };
}

export type Rig = ReturnType<typeof createRig>;

/** Polls until it holds, for 10 s at most. */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('it did not come to hold');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The body of a request or an answer of Node.js. */
export async function bodyOf(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message.setEncoding('latin1')) text += chunk;
  return text;
}

export const post = (path: string, headers: readonly string[], body: string) =>
  [`POST ${path} HTTP/1.1`, 'Host: a', ...headers, '', body].join('\r\n');
