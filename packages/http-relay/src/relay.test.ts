import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { systemClock, systemRandom } from '@roundhouse/base';
import { afterEach, describe, expect, it } from 'vitest';
import { createRelay, type RelayOptions, type Upstream } from './index.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
const now = AbortSignal.abort();

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

async function httpServer(handler: Handler): Promise<number> {
  const server = createHttpServer(handler);
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function relayTo(port: number, options: Partial<RelayOptions> = {}): Promise<number> {
  let upstream: Upstream;
  const relay = createRelay({
    clock: systemClock,
    random: systemRandom,
    name: 'test',
    pick: () => upstream,
    ...options,
  });
  upstream = relay.upstream({ host: '127.0.0.1', port });
  closers.push(() => relay.close(now));
  return (await relay.listen({ host: '127.0.0.1', port: 0 })).port;
}

async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  socket.write(text, 'latin1');
  await new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return answer;
}

describe('createRelay', () => {
  it('takes a prediction to the upstream and its answer back, on connections that stay open', async () => {
    const seen: string[] = [];
    const port = await relayTo(
      await httpServer((req, res) => {
        let body = '';
        req.on('data', (chunk) => {
          body += chunk;
        });
        req.on('end', () => {
          seen.push(`${req.method} ${req.url} ${body} ${req.headers.via} ${req.socket.remotePort}`);
          res.end(`{"n":${seen.length}}`);
        });
      }),
    );
    const url = `http://127.0.0.1:${port}/v1/models/a:predict`;

    const first = await (await fetch(url, { method: 'POST', body: '{"instances":[1]}' })).text();
    const second = await (await fetch(url, { method: 'POST', body: '{"instances":[2]}' })).text();

    expect([first, second]).toEqual(['{"n":1}', '{"n":2}']);
    expect(seen[0]).toContain('POST /v1/models/a:predict {"instances":[1]} 1.1 test');
    expect(seen[0]!.split(' ').at(-1)).toBe(seen[1]!.split(' ').at(-1));
  });

  it('refuses what no model server should see', async () => {
    const port = await relayTo(await httpServer((_, res) => res.end('reached')));

    const answer = await raw(port, 'POST /v2/repository/index HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    expect(answer).toContain('HTTP/1.1 404 Not Found');
    expect(answer).toContain('x-roundhouse-reason: path-not-allowed');
    expect(answer).toContain('{"error":"this path is not served here"}');
  });
});
