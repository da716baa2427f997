import { jsonPage, metricsPage, type PageServer, servePages } from '@roundhouse/telemetry';
import type { Entry } from './entry.ts';
import { stateOf } from './plan.ts';

export type OpsDeps = {
  readonly entries: () => Iterable<Readonly<Entry>>;
  readonly isReady: () => boolean;
  /** Resolves when the pod may be stopped. */
  readonly drain: () => Promise<void>;
  /** `roundhouse_agent_<what>` and its value. */
  readonly gauges: () => Readonly<Record<string, number>>;
};

/** Health, metrics, the table of models and the drain, for the kubelet and for people. */
export function serveOps(
  { entries, isReady, drain, gauges }: OpsDeps,
  listen: { readonly host: string; readonly port: number },
): Promise<PageServer> {
  return servePages(listen, {
    '/healthz': () => jsonPage({ live: true }),
    '/readyz': () => jsonPage({ ready: isReady() }, isReady() ? 200 : 503),
    '/models': () => jsonPage(Array.from(entries(), rowOf)),
    '/metrics': () => metricsPage(metricsText(entries(), gauges())),
    '/drain': async () => {
      await drain();
      return jsonPage({ drained: true });
    },
  });
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
