import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';

export type OpsDeps = {
  readonly host: string;
  readonly port: number;
  isReady(): boolean;
  metrics(): string;
  routes(): unknown;
};

export type Ops = { readonly port: number; close(): Promise<void> };

/** What people and probes ask the router itself. Not for clients: it listens on a port of its own. */
export async function serveOps({ host, port, isReady, metrics, routes }: OpsDeps): Promise<Ops> {
  const app = fastify({ forceCloseConnections: true });
  app.get('/healthz', () => 'ok\n');
  app.get('/readyz', (_, reply) => (isReady() ? 'ok\n' : reply.code(503).send('not ready\n')));
  app.get('/metrics', (_, reply) => reply.type('text/plain; version=0.0.4').send(metrics()));
  app.get('/routes', routes);
  await app.listen({ host, port });
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}
