import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a path answers; without a status it is 200. */
export type Page = { readonly status?: number; readonly type: string; readonly body: string };

export type PageServer = { readonly port: number; close(): Promise<void> };

/** No page needs longer to ask for: whoever takes longer is let go. */
const requestMsMax = 10_000;

/**
 * Serves what a process says about itself to probes, Prometheus and people: GET of a few paths without parameters. On
 * node:http, which control-protocol has loaded anyway: a web framework would cost each process 10 MB.
 */
export async function servePages(
  { host, port }: { readonly host: string; readonly port: number },
  pages: Readonly<Record<string, () => Page | Promise<Page>>>,
): Promise<PageServer> {
  const pageFor = async (method: string | undefined, path: string): Promise<Page> => {
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (page === undefined) return jsonPage({ error: `there is ${Object.keys(pages).join(', ')}` }, 404);
    if (method !== 'GET' && method !== 'HEAD') return jsonPage({ error: 'this path takes GET' }, 405);
    try {
      return await page();
    } catch (error) {
      return jsonPage({ error: error instanceof Error ? error.message : String(error) }, 500);
    }
  };
  const server = createServer({ requestTimeout: requestMsMax }, (request, response) => {
    request.resume();
    void pageFor(request.method, request.url?.split('?', 1)[0] ?? '').then(({ status = 200, type, body }) =>
      response.writeHead(status, { 'content-type': type }).end(body),
    );
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

export const jsonPage = (value: unknown, status = 200): Page => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
});

export const textPage = (body: string, status = 200): Page => ({ status, type: 'text/plain; charset=utf-8', body });

/** In Prometheus' text format. */
export const metricsPage = (body: string): Page => ({ type: 'text/plain; version=0.0.4; charset=utf-8', body });
