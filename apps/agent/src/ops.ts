import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '@roundhouse/base';
import type { Entry } from './keeper.ts';
import { stateOf } from './plan.ts';

export type OpsDeps = {
  readonly entries: () => Iterable<Readonly<Entry>>;
  readonly isReady: () => boolean;
  /** Resolves when the pod may be stopped. */
  readonly drain: () => Promise<void>;
  /** `roundhouse_agent_<what>` and its value. */
  readonly gauges: () => Readonly<Record<string, number>>;
};

export type Ops = { readonly port: number; close(): Promise<void> };

type Page = { readonly status: number; readonly type: string; readonly text: string };

/**
 * Health, metrics, the table of models and the drain, for the kubelet and for people. On node:http alone: a web framework
 * would be a fifth of the agent's memory, for five paths without parameters.
 */
export async function serveOps(
  { entries, isReady, drain, gauges }: OpsDeps,
  listen: { readonly host: string; readonly port: number },
): Promise<Ops> {
  const pages: Readonly<Record<string, () => Page | Promise<Page>>> = {
    '/healthz': () => json(200, { live: true }),
    '/readyz': () => json(isReady() ? 200 : 503, { ready: isReady() }),
    '/models': () => json(200, Array.from(entries(), rowOf)),
    '/metrics': () => ({ status: 200, type: 'text/plain; version=0.0.4', text: metricsText(entries(), gauges()) }),
    '/drain': async () => {
      await drain();
      return json(200, { drained: true });
    },
  };
  const pageFor = async (method: string | undefined, url = ''): Promise<Page> => {
    const page = pages[url.replace(/\?.*$/, '')];
    if (page === undefined) return json(404, { error: `there is ${Object.keys(pages).join(', ')}` });
    if (method !== 'GET' && method !== 'HEAD') return json(405, { error: 'this path takes GET' });
    try {
      return await page();
    } catch (error) {
      return json(500, { error: messageOf(error) });
    }
  };
  const server = createServer((request, response) => {
    request.resume();
    void pageFor(request.method, request.url).then(({ status, type, text }) =>
      response.writeHead(status, { 'content-type': type }).end(text),
    );
  });
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const json = (status: number, body: unknown): Page => ({
  status,
  type: 'application/json',
  text: JSON.stringify(body),
});

function rowOf(entry: Readonly<Entry>) {
  const { name, wanted, placed, loaded, failure, inFlight, bytesDone, bytesTotal } = entry;
  return {
    name,
    state: stateOf(entry),
    digest: wanted?.digest,
    onDisk: placed,
    serving: loaded,
    inFlight,
    bytesDone,
    bytesTotal,
    ...(failure !== undefined && {
      failure: {
        class: failure.class,
        reason: failure.reason,
        message: failure.message,
        attempt: failure.attempt,
        nextRetry: failure.retryEpochMs === undefined ? undefined : new Date(failure.retryEpochMs).toISOString(),
      },
    }),
  };
}

function metricsText(entries: Iterable<Readonly<Entry>>, gauges: Readonly<Record<string, number>>): string {
  const states = new Map<string, number>();
  for (const entry of entries) states.set(stateOf(entry), (states.get(stateOf(entry)) ?? 0) + 1);
  const lines = ['# TYPE roundhouse_agent_models gauge'];
  for (const [state, count] of states) lines.push(`roundhouse_agent_models{state="${state}"} ${count}`);
  for (const [name, value] of Object.entries(gauges)) {
    const kind = name.endsWith('_total') ? 'counter' : 'gauge';
    lines.push(`# TYPE roundhouse_agent_${name} ${kind}`, `roundhouse_agent_${name} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}
