import fastify from 'fastify';
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

/** Health, metrics, the table of models and the drain, for the kubelet and for people. */
export async function serveOps(
  { entries, isReady, drain, gauges }: OpsDeps,
  listen: { readonly host: string; readonly port: number },
): Promise<Ops> {
  const app = fastify({ forceCloseConnections: true });
  app.get('/healthz', () => ({ live: true }));
  app.get('/readyz', (_, reply) => reply.code(isReady() ? 200 : 503).send({ ready: isReady() }));
  app.get('/models', () => Array.from(entries(), rowOf));
  app.get('/metrics', (_, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(metricsText(entries(), gauges())),
  );
  app.get('/drain', async () => {
    await drain();
    return { drained: true };
  });
  await app.listen(listen);
  const address = app.server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close: () => app.close() };
}

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
