import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type OpsDeps = {
  readonly host: string;
  readonly port: number;
  isReady(): boolean;
  metrics(): string;
  routes(): unknown;
};

export type Ops = { readonly port: number; close(): Promise<void> };

type Page = { readonly status?: number; readonly type?: string; readonly body: string };

/**
 * What people and probes ask the router itself, on a port that clients do not reach. Four pages without a parameter need no
 * framework: that would be a tenth of the router's memory.
 */
export async function serveOps({ host, port, isReady, metrics, routes }: OpsDeps): Promise<Ops> {
  const pages: Readonly<Record<string, () => Page>> = {
    '/healthz': () => ({ body: 'ok\n' }),
    '/readyz': () => (isReady() ? { body: 'ok\n' } : { status: 503, body: 'not ready\n' }),
    '/metrics': () => ({ type: 'text/plain; version=0.0.4', body: metrics() }),
    '/routes': () => ({ type: 'application/json', body: JSON.stringify(routes()) }),
  };
  const server = createServer((request, response) => {
    const page = pages[(request.url ?? '').split('?', 1)[0] ?? ''];
    const { status = 200, type = 'text/plain', body } = page?.() ?? { status: 404, body: 'not found\n' };
    response.writeHead(status, { 'content-type': type }).end(body);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
