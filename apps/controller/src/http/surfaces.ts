import type { AddressInfo } from 'node:net';
import type { Fleet } from '../assignments/fleet.ts';
import { servicesView } from './services-view.ts';

export type Surface = { readonly port: number; close(): Promise<void> };

/** What the process says about itself. */
export type Health = {
  /** Whether the loops run. */
  alive(): boolean;
  /** Whether it does its part: leads, or stands by. */
  ready(): boolean;
};

export type Listen = { readonly host: string; readonly port: number };

/** Kubelets' probes. */
export async function serveHealth(at: Listen, health: Health): Promise<Surface> {
  const app = await createApp();
  app.get('/healthz', (_, reply) => reply.code(health.alive() ? 200 : 503).send(health.alive() ? 'ok' : 'stuck'));
  app.get('/readyz', (_, reply) => reply.code(health.ready() ? 200 : 503).send(health.ready() ? 'ok' : 'starting'));
  return listen(app, at);
}

/** Read-only: what services, replicas and models are like now. Undefined while another controller leads. */
export async function serveReadApi(at: Listen, fleet: () => Fleet | undefined): Promise<Surface> {
  const app = await createApp();
  app.get('/api/v1/services', (_, reply) => {
    const current = fleet();
    if (current === undefined)
      return reply.code(503).send({ error: 'this controller does not lead: ask again in a moment' });
    return reply.send(servicesView(current));
  });
  return listen(app, at);
}

/** Prometheus' text. */
export async function serveMetrics(at: Listen, render: () => Promise<string>): Promise<Surface> {
  const app = await createApp();
  app.get('/metrics', async (_, reply) => reply.type('text/plain; version=0.0.4; charset=utf-8').send(await render()));
  return listen(app, at);
}

async function createApp() {
  const { fastify } = await import('fastify');
  // Nobody sends us bodies; a client that says nothing is let go.
  return fastify({ bodyLimit: 1024, requestTimeout: 10_000, forceCloseConnections: true });
}

async function listen(app: Awaited<ReturnType<typeof createApp>>, at: Listen): Promise<Surface> {
  await app.listen(at);
  return { port: (app.server.address() as AddressInfo).port, close: () => app.close() };
}
