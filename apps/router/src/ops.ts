import { jsonPage, metricsPage, type PageServer, servePages, textPage } from '@roundhouse/telemetry';

export type OpsDeps = {
  readonly host: string;
  readonly port: number;
  isReady(): boolean;
  metrics(): string;
  routes(): unknown;
};

/** What people and probes ask the router itself, on a port that clients do not reach. */
export function serveOps({ isReady, metrics, routes, ...listen }: OpsDeps): Promise<PageServer> {
  return servePages(listen, {
    '/healthz': () => textPage('ok\n'),
    '/readyz': () => (isReady() ? textPage('ok\n') : textPage('not ready\n', 503)),
    '/metrics': () => metricsPage(metrics()),
    '/routes': () => jsonPage(routes()),
  });
}
