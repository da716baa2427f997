import { readFile } from 'node:fs/promises';
import { type Clock, type Random, within } from '@roundhouse/base';
import type { RouteStream } from '@roundhouse/control-protocol';
import { createRelay, type Relay, type TlsPort } from '@roundhouse/http-relay';
import type { Log } from '@roundhouse/telemetry';
import { createAccessLog } from './access-log.ts';
import { createAdmission } from './admission.ts';
import { createGuard } from './auth/guard.ts';
import { followRules } from './auth/rules.ts';
import type { Config } from './config.ts';
import { followFiles } from './follow-files.ts';
import { createFreshness } from './freshness.ts';
import { createMetrics } from './metrics.ts';
import { createProxy, type RequestProxy } from './proxy.ts';
import { Replica } from './replica.ts';
import { createRouteTable, type RouteTable } from './route-table.ts';

export const version = '0.1.0';

export type RouterDeps = { readonly clock: Clock; readonly random: Random; readonly log: Log };

export type Router = {
  readonly port: number;
  /** 0 without TLS. */
  readonly tlsPort: number;
  readonly opsPort: number;
  /** Serves until `signal` aborts, then finishes what is in flight. */
  run(signal: AbortSignal): Promise<void>;
};

/** Builds the router, listening. The data port opens before anything else is loaded: whoever connects early waits. */
export async function buildRouter({ clock, random, log }: RouterDeps, config: Config): Promise<Router> {
  let stopping = false;
  let stream: RouteStream | undefined;
  const instance = `${config.podName}-${Math.floor(random() * 2 ** 32).toString(36)}`;
  const metrics = createMetrics(clock);
  const table: RouteTable = createRouteTable({
    now: clock.monotonic,
    seed: Math.floor(random() * 2 ** 31),
    zone: config.zone,
    limits: config.serviceLimits,
    openReplica(id, address) {
      const upstream = relay.upstream(addressOf(address));
      const replica = new Replica(
        { clock, random, onReturn: (back) => wakeServicesOf(table, proxy, back) },
        id,
        address,
        upstream,
      );
      upstream.tag = replica;
      return replica;
    },
    onChange: (service) => proxy.wake(service),
  });
  const rules = await followRules({ clock, log }, config.authDir);
  const admission = createAdmission(config.requestsMax);
  const accessLog = createAccessLog({ clock, random, log }, config.accessLogRatio);
  const guard = createGuard(() => rules.current);
  const waitingMax = config.limits.parkedMax;
  const freshness = createFreshness(clock, () => proxy.wakeUnknown());
  const proxy = createProxy({ clock, random, table, freshness, admission, guard, waitingMax, onDone });
  const relay = createRelay({
    clock,
    random,
    name: 'roundhouse-router',
    edge: true,
    limits: config.limits,
    traceRatio: config.traceRatio,
    ...proxy,
  });
  const { port } = await relay.listen({ host: config.host, port: config.port });
  log.info({ port }, 'listening');
  const tls = config.tls && (await openTls({ clock, log }, relay, config.host, config.tlsPort, config.tls));

  const [{ openRoutes }, { serveOps }] = await Promise.all([
    import('@roundhouse/control-protocol'),
    import('./ops.ts'),
  ]);
  stream = openRoutes(
    { clock, random, log },
    {
      connection: {
        address: config.controlAddress,
        serverName: config.controlServerName,
        ca: () => readFile(config.caFile, 'utf8'),
        token: async () => (await readFile(config.tokenFile, 'utf8')).trim(),
      },
      hello: () => ({ version, instance, zone: config.zone }),
      apply(update) {
        const first = !table.ready;
        table.apply(update);
        if (update.snapshot) freshness.onSnapshot();
        if (first) log.info({ services: table.services.size }, 'first routes');
      },
      onConnection: freshness.onConnection,
    },
  );
  const ops = await serveOps({
    host: config.host,
    port: config.opsPort,
    isReady: () => table.ready && !stopping,
    metrics: () => metrics.render(gauges()),
    routes: () => routesOf(table),
  });
  log.info({ port: ops.port }, 'operations port open');

  return { port, tlsPort: tls?.port ?? 0, opsPort: ops.port, run };

  function onDone(...[exchange, model]: Parameters<Parameters<typeof createProxy>[0]['onDone']>) {
    metrics.count(exchange, model);
    accessLog(exchange, model);
    stream?.traffic(1, exchange.status >= 500 ? 1 : 0);
  }

  function gauges() {
    const services = [...table.services.values()];
    const replicas = services.flatMap(({ replicas }) => [...replicas.values()]);
    return {
      ...relay.stats,
      inFlight: replicas.reduce((sum, { upstream }) => sum + upstream.inFlight, 0),
      queued: admission.queued,
      services,
      models: services.reduce((sum, { models }) => sum + models.size, 0),
      controlConnected: stream?.connected ?? false,
    };
  }

  async function run(signal: AbortSignal) {
    const control = new AbortController();
    const running = [stream?.run(control.signal), tls?.run(control.signal), rules.run(control.signal)];
    await aborted(signal);
    stopping = true;
    log.info({}, 'stopping');
    await relay.close(within(config.drainMs, new AbortController().signal));
    control.abort();
    await Promise.all(running);
    await ops.close();
  }
}

/** The port with TLS. A certificate that changes is used for new connections; one that is wrong is not used at all. */
async function openTls(
  deps: { readonly clock: Clock; readonly log: Log },
  relay: Relay,
  host: string,
  port: number,
  { cert, key }: NonNullable<Config['tls']>,
) {
  let opened: TlsPort | undefined;
  const { run } = await followFiles<[string, string]>(deps, [cert, key], async ([certText, keyText]) => {
    const identity = { cert: certText, key: keyText };
    if (opened === undefined) opened = await relay.listenTls({ host, port }, identity);
    else opened.renew(identity);
  });
  deps.log.info({ port: opened!.port }, 'listening with TLS');
  return { port: opened!.port, run };
}

function addressOf(address: string) {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) };
}

function wakeServicesOf(table: RouteTable, proxy: RequestProxy, replica: Replica): void {
  for (const service of table.services.values()) if (service.replicas.has(replica.id)) proxy.wake(service);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The table for people: what is sent where. */
function routesOf(table: RouteTable) {
  return [...table.services.values()].map(({ key, route, replicas, models }) => ({
    service: key,
    hosts: route.hosts,
    pathPrefixes: route.pathPrefixes,
    replicas: [...replicas.values()].map(({ id, address, draining, ejected, upstream }) => ({
      id,
      address,
      draining,
      ejected,
      inFlight: upstream.inFlight,
    })),
    models: [...models.values()].map(({ name, warm, cold }) => ({
      name,
      warm: warm.map(({ id }) => id),
      cold: cold.map(({ id }) => id),
    })),
  }));
}
