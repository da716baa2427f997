import { jsonPage, metricsPage, type PageServer, servePages, textPage } from '@roundhouse/telemetry';
import type { Fleet } from '../assignments/fleet.ts';
import { servicesView } from './services-view.ts';

/** What the process says about itself. */
export type Health = {
  /** Whether the loops run. */
  alive(): boolean;
  /** Whether it does its part: leads, or stands by. */
  ready(): boolean;
};

export type Listen = { readonly host: string; readonly port: number };

/** Kubelets' probes. */
export function serveHealth(at: Listen, health: Health): Promise<PageServer> {
  return servePages(at, {
    '/healthz': () => (health.alive() ? textPage('ok') : textPage('stuck', 503)),
    '/readyz': () => (health.ready() ? textPage('ok') : textPage('starting', 503)),
  });
}

/** Read-only: what services, replicas and models are like now. Undefined while another controller leads. */
export function serveReadApi(at: Listen, fleet: () => Fleet | undefined): Promise<PageServer> {
  return servePages(at, {
    '/api/v1/services': () => {
      const current = fleet();
      if (current !== undefined) return jsonPage(servicesView(current));
      return jsonPage({ error: 'this controller does not lead: ask again in a moment' }, 503);
    },
  });
}

/** Prometheus' text. */
export function serveMetrics(at: Listen, render: () => Promise<string>): Promise<PageServer> {
  return servePages(at, { '/metrics': async () => metricsPage(await render()) });
}
