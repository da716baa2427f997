import type { Clock, Random } from '@roundhouse/base';
import type { Dialect, ServerAddress } from '@roundhouse/dialects';
import {
  type Answer,
  createRelay,
  type Exchange,
  hasModel,
  isGrpc,
  isV1,
  otherProtocolPath,
  type Refusal,
  type RequestHead,
  type Upstream,
} from '@roundhouse/http-relay';
import { type Entry, enter, leave } from './entry.ts';
import { isOpen, judge } from './gate.ts';
import type { Keeper } from './keeper.ts';
import { createWay } from './way.ts';

export type DataPathDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly keeper: Keeper;
  /** Whether models are kept at all. Without, every path that passes is the server's business. */
  readonly keeps: boolean;
  /** What the server speaks; for one that is not known, `undefined` lets everything be asked. */
  readonly protocols: Dialect['protocols'] | undefined;
  /** It takes an inference request without `Content-Type` for something else than JSON. */
  readonly wantsContentType: boolean;
  /** Whether requests should come here. */
  readonly isReady: () => boolean;
  /** The pod is going: its server does not come back. */
  readonly isEnding: () => boolean;
  /** The server did not take a request: look at it. */
  readonly onDoubt: () => void;
};

export type DataPath = {
  readonly port: number;
  readonly inFlight: number;
  counters(): Readonly<Record<string, number>>;
  /** Those who wait for `model` are judged again. */
  modelChanged(model: string): void;
  /** The server was looked at: all who wait are judged again. */
  serverChanged(): void;
  /** The pod is going: those who wait go elsewhere. */
  ending(): void;
  close(): Promise<void>;
};

/** Requests in flight have ended by then: the drain came first. */
const closeMs = 1_000;

/** Connections that the server's gRPC port may refuse one request, with a look at the server after each: it may be restarting. */
const grpcAttemptsMax = 3;
/** Marks a request as counted that is for no model, or for none yet. */
const noEntry = {};

/** What KServe's agent says when it is asked for its health. */
const healthy: Refusal = { status: 200, reason: 'probe', message: '', text: 'queue' };
const notReady: Refusal = { status: 503, reason: 'not-ready', message: 'the model server is not up, or the pod ends' };

const noGrpc: Refusal = { status: 503, reason: 'no-grpc', message: 'the model server takes no gRPC', retryAfterS: 1 };

/** Where the server takes requests. */
export type ServerPlace = ServerAddress & {
  /** A unix socket that it may have besides its port. */
  readonly localSocket?: string | undefined;
};

/** The pod's traffic: requests go to the model server when their model is there, and wait while that is a matter of time. */
export async function openDataPath(
  { clock, random, keeper, keeps, protocols, wantsContentType, isReady, isEnding, onDoubt }: DataPathDeps,
  listen: { readonly host: string; readonly port: number },
  { port, socketPath, localSocket }: ServerPlace,
  grpcPort: number,
): Promise<DataPath> {
  /** Requests that wait, for which model and in which protocol. The relay bounds their number and their time. */
  const held = new Map<Exchange, { readonly model: string; readonly overGrpc: boolean }>();
  const speaksV1 = protocols?.v1 ?? true;
  const speaksV2 = protocols?.v2 ?? true;
  const counts = { requests: 0, errors: 0 };
  /** Requests under way: those with a tag. The relay refuses some by itself: they were never ours to count. */
  let underWay = 0;
  /** Ports of the server that refused a connection, and that it has not been looked at since. */
  const suspects = new Set<Upstream>();

  function answer(model: string, exchange: Exchange, overGrpc: boolean): Answer {
    const to = overGrpc ? grpcUpstream : way.upstream;
    if (overGrpc && exchange.attempt >= grpcAttemptsMax) return noGrpc;
    const verdict = judge(keeps ? model : '', keeper, clock.monotonic());
    if (verdict.kind === 'refuse') return verdict.refusal;
    if (verdict.kind === 'wait' || suspects.has(to)) {
      if (isEnding()) return leaving;
      held.set(exchange, { model, overGrpc });
      return 'parked';
    }
    return send(verdict.entry, exchange, overGrpc);
  }

  function send(entry: Entry | undefined, exchange: Exchange, overGrpc: boolean): Answer {
    if (exchange.tag === noEntry && entry !== undefined) {
      exchange.tag = entry;
      enter(entry);
    }
    return overGrpc ? grpcUpstream : way.upstream;
  }

  function review(isMeant: (model: string) => boolean) {
    for (const [exchange, { model, overGrpc }] of [...held]) {
      if (!isMeant(model)) continue;
      held.delete(exchange);
      const next = answer(model, exchange, overGrpc);
      if (next !== 'parked') exchange.resume(next);
    }
  }

  const relay = createRelay({
    clock,
    random,
    name: 'roundhouse-agent',
    untypedIs: wantsContentType ? 'application/json' : undefined,
    probe: () => (isReady() ? healthy : notReady),
    pick(head, exchange) {
      if (exchange.tag === undefined) {
        exchange.tag = noEntry;
        underWay++;
      }
      if (!(isV1(head.route) ? speaksV1 : speaksV2)) return wrongProtocol(head);
      const overGrpc = isGrpc(head.route);
      if (!hasModel(head.route)) return answer('', exchange, overGrpc);
      // What is loaded is found without a string; whatever else may be the matter is looked at in full.
      const entry = keeper.find(head.modelBytes, head.modelStart, head.modelEnd);
      const isPlain = exchange.attempt === 0 && suspects.size === 0 && isOpen(entry, keeper);
      return isPlain ? send(entry, exchange, overGrpc) : answer(head.modelName(), exchange, overGrpc);
    },
    onFailure(from, failure) {
      if (failure === 'connect' && !way.failed(from)) suspects.add(from);
      if (failure === 'connect' || failure === 'reset') onDoubt();
    },
    onDone(exchange) {
      if (exchange.tag === undefined) return;
      underWay--;
      if (held.size > 0) held.delete(exchange);
      counts.requests++;
      const failed = exchange.status >= 500;
      if (failed) counts.errors++;
      if (exchange.tag === noEntry) return;
      leave(exchange.tag as Entry, failed); // only `send` sets it
    },
  });
  const host = '127.0.0.1';
  const byPort: Upstream = relay.upstream(socketPath === undefined ? { host, port } : { socketPath });
  const bySocket = localSocket === undefined ? undefined : relay.upstream({ socketPath: localSocket });
  const way = createWay(clock, byPort, bySocket);
  const grpcUpstream: Upstream = relay.upstream({ host, port: grpcPort });
  const listening = await relay.listen(listen);

  return {
    port: listening.port,
    get inFlight() {
      return underWay;
    },
    counters: () => ({
      requests_total: counts.requests,
      request_errors_total: counts.errors,
      requests_in_flight: underWay,
      requests_waiting: held.size,
      server_by_socket: Number(way.isLocal || socketPath !== undefined),
    }),
    modelChanged: (model) => review((name) => name === model),
    ending: () => review(() => true),
    serverChanged() {
      way.serverChanged();
      suspects.clear();
      review(() => true);
    },
    async close() {
      const cut = new AbortController();
      const cancel = clock.after(closeMs, () => cut.abort());
      await relay.close(cut.signal);
      cancel();
    },
  };
}

/** What would wait for a server that comes back, or for a model, goes to another replica when this one ends. */
const leaving: Refusal = {
  status: 503,
  reason: 'no-replica',
  message: 'the replica is going',
  notHere: true,
  retryAfterS: 1,
};

/** The server does not speak the protocol of this path: the message names the other one's. */
function wrongProtocol(head: RequestHead): Refusal {
  const [spoken, path] = [isV1(head.route) ? 'V1' : 'V2', otherProtocolPath(head.route, head.modelName())];
  const message = `this model server does not speak ${spoken}: use ${isGrpc(head.route) ? 'HTTP and ' : ''}${path}`;
  return { status: 404, reason: 'wrong-protocol', message };
}
