import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Clock, Random } from '@roundhouse/base';
import type { Address } from './address.ts';
import { Client } from './client.ts';
import type { Core } from './core.ts';
import { Deadlines } from './deadlines.ts';
import type { Picker } from './exchange.ts';
import { DownstreamSession } from './h2/downstream-session.ts';
import { Turn } from './h2/outbox.ts';
import { GrpcHead } from './h2/pick-head.ts';
import { Pool } from './h2/pool.ts';
import { Hangups } from './hangups.ts';
import { inbound } from './inbound.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { RequestHead } from './request-head.ts';
import { RequestIds } from './request-ids.ts';
import { ResponseHead } from './response-head.ts';
import { Splice } from './splice.ts';
import { createTlsListener, type TlsIdentity, type TlsListener } from './tls.ts';
import { TraceContexts } from './trace-contexts.ts';
import { Upstream } from './upstream.ts';

const noBytes = Buffer.alloc(0);

export type RelayOptions = Picker & {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<Limits>;
  /** Our name in `via` and `server-timing`: a token. */
  readonly name: string;
  /** It faces clients: adds `x-forwarded-for`, and names each request in its answer. */
  readonly edge?: boolean;
  /** Where it faces no clients: the `Content-Type` of V2 inference requests that say nothing of what their body is. */
  readonly untypedIs?: string | undefined;
  /** Makes a W3C trace context for requests that bring none; this share of them says "sampled". Without, none is made. */
  readonly traceRatio?: number | undefined;
};

export type Relay = {
  /** An upstream with connections of its own: HTTP/1.1 for what came so, h2c for gRPC. Retire it when it is gone. */
  upstream(address: Address): Upstream;
  listen(address: Listen): Promise<{ readonly port: number }>;
  /** The same with TLS: HTTP/2 for clients that offer it by ALPN, HTTP/1.1 for the others. May be called beside `listen`. */
  listenTls(address: Listen, identity: TlsIdentity): Promise<TlsPort>;
  /** Accepts nothing more, finishes what is in flight, then closes. When `signal` aborts, cuts off what is left. */
  close(signal: AbortSignal): Promise<void>;
  readonly stats: { readonly connections: number; readonly parked: number };
};

export type Listen = { readonly host: string; readonly port: number };

export type TlsPort = {
  readonly port: number;
  /** For connections from now on; those that are open stay as they are. Throws when certificate and key do not fit. */
  renew(identity: TlsIdentity): void;
};

/** Reads requests, asks `pick` where each one goes, and moves the bytes. */
export function createRelay(options: RelayOptions): Relay {
  const limits = { ...defaultLimits, ...options.limits };
  const deadlines = new Deadlines(options.clock);
  const { untypedIs } = options;
  const via = `via: 1.1 ${options.name}\r\n`;
  const turn: Turn = new Turn(() => splice.reuse());
  const splice = new Splice(() => turn.isQuiet);
  const pools = new Set<Pool>();
  const core: Core = {
    clock: options.clock,
    limits,
    deadlines,
    picker: options,
    added: Buffer.from(via),
    addedToUntyped: Buffer.from(untypedIs === undefined ? via : `${via}content-type: ${untypedIs}\r\n`),
    edge: options.edge ?? false,
    traces: options.traceRatio === undefined ? undefined : new TraceContexts(options.random, options.traceRatio),
    requestIds: new RequestIds(options.random),
    name: options.name,
    head: new RequestHead(),
    grpcHead: new GrpcHead(),
    responseHead: new ResponseHead(),
    headOwner: undefined,
    hangups: new Hangups(options.clock),
    clients: new Set(),
    closing: false,
    parked: 0,
    underWay: 0,
    turn,
    splice,
    openHttp2: (socket, first) => new DownstreamSession({ deadlines, limits, turn }, core, socket, first),
  };
  const servers: Server[] = [];
  const listeners: TlsListener[] = [];
  const open = async (server: Server, { host, port }: Listen) => {
    server.maxConnections = limits.connectionsMax;
    server.listen(port, host, 1024);
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  const accept = (socket: Socket) => {
    if (core.closing) socket.destroy();
    else core.clients.add(new Client(core, socket));
  };
  const plain = (socket: Socket) => accept(inbound(socket));

  return {
    upstream(address) {
      const pool = new Pool({ deadlines, limits, turn }, address, () => pools.delete(pool));
      pools.add(pool);
      return new Upstream(core, address, pool);
    },
    listen: async (address) => ({
      port: await open(createServer({ noDelay: true, pauseOnConnect: true }, plain), address),
    }),
    async listenTls(address, identity) {
      const listener = createTlsListener(identity, limits, {
        onHttp1: accept,
        onHttp2: (socket) => core.openHttp2(socket, noBytes),
      });
      listeners.push(listener);
      return { port: await open(listener.server, address), renew: listener.renew };
    },
    async close(signal) {
      core.closing = true;
      const closed = Promise.all(servers.map((server) => new Promise((resolve) => void server.close(resolve))));
      for (const client of core.clients) client.part();
      const cut = () => {
        for (const client of core.clients) client.destroy();
        for (const listener of listeners) listener.destroy();
      };
      if (signal.aborted) cut();
      signal.addEventListener('abort', cut, { once: true });
      await closed;
      signal.removeEventListener('abort', cut);
      for (const pool of pools) pool.destroy();
    },
    stats: {
      get connections() {
        return core.clients.size;
      },
      get parked() {
        return core.parked;
      },
    },
  };
}
