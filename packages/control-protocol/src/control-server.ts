import { experimental, Server, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { bounded, type Clock } from '@roundhouse/base';
import { admit, type Peer } from './admission.ts';
import { type AgentBody, type AgentSession, createAgentSession } from './agent-session.ts';
import { attachMethod, routeMethod } from './codec.ts';
import type { AgentHello, AgentMessage, RouterHello, RouterMessage } from './gen/control_pb.js';
import type { StreamLog } from './log.ts';
import { createRouterSession, type RouterBody, type RouterSession } from './router-session.ts';

type AgentEnvelope = { epoch: bigint; body: AgentBody };
type RouterEnvelope = { epoch: bigint; body: RouterBody };

export type ControlServerOptions = {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM. Asked again every ten seconds, so that a renewed certificate is used without a restart. */
  tls(): { readonly cert: string; readonly key: string };
  /** The Lease's transitions: higher than those of all earlier leaders. */
  readonly epoch: number;
  /** Of the software. */
  readonly version: string;
  /** How often peers are to be heard; after three times that without a word they are taken for dead. */
  readonly heartbeatMs?: number;
  /** Throws when the token does not prove what the hello says; the message goes to the agent. Also asked about renewals. */
  authenticateAgent(token: string, hello: AgentHello): Promise<void>;
  authenticateRouter(token: string, hello: RouterHello): Promise<void>;
  onAgent(session: AgentSession): void;
  onRouter(session: RouterSession): void;
};

export type ControlServer = { readonly port: number; close(): Promise<void> };

const defaultHeartbeatMs = 5_000;
const certificateCheckMs = 10_000;
const closeMsMax = 1_000;

/** TokenReviews under way at a time: enough to admit 1,000 agents in a second or so, without flooding the API server. */
const reviewsMax = 32;

/** Connected peers and those at the door: a few hundred services with tens of replicas, and routers. */
const streamsMax = 10_000;

const serverOptions = {
  'grpc.max_receive_message_length': 2 * 1024 * 1024,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_channelz': 0,
};

type Role<In, Body, Hello> = {
  authenticate(token: string, hello: Hello): Promise<void>;
  /** Names the peer in the log, and tells its older stream from another peer's. */
  keyOf(hello: Hello): string;
  start(hello: Hello, peer: Peer<In, Body>): void;
};

/** The controller's end of the control stream. Resolves when it listens. */
export async function serveControl(
  { clock, log }: { readonly clock: Clock; readonly log: StreamLog },
  options: ControlServerOptions,
): Promise<ControlServer> {
  const { epoch, version, heartbeatMs = defaultHeartbeatMs } = options;
  const reviews = bounded(reviewsMax);
  const sessions = new Map<string, (reason: string) => void>();
  const welcome = { minor: 0, version, heartbeatMs };
  let streams = 0;

  const receive = <In, Body, Hello extends { readonly epoch: bigint }>(
    call: ServerDuplexStream<In, { epoch: bigint; body: Body }>,
    { authenticate, keyOf, start }: Role<In, Body, Hello>,
  ) => {
    if (streams >= streamsMax) {
      return void call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many streams' });
    }
    streams++;
    call.once('close', () => streams--);
    admit<In, Body, Hello>(call, { clock, reviews, authenticate, epoch: BigInt(epoch) }, (hello, peer) => {
      const key = keyOf(hello);
      sessions.get(key)?.('replaced by a newer stream of the same peer');
      const closeThis = (reason: string) => peer.close(status.UNAVAILABLE, reason);
      sessions.set(key, closeThis);
      peer.onClose((reason) => {
        if (sessions.get(key) === closeThis) sessions.delete(key);
        log.info({ peer: key, reason }, 'stream closed');
      });
      endWhenSilent(clock, 3 * heartbeatMs, peer);
      log.info({ peer: key }, 'stream opened');
      start(hello, peer);
    });
  };

  const attach = (call: ServerDuplexStream<AgentMessage, AgentEnvelope>) =>
    receive<AgentMessage, AgentBody, AgentHello>(call, {
      authenticate: options.authenticateAgent,
      keyOf: ({ namespace, podName, podUid }) => `agent ${namespace}/${podName} ${podUid}`,
      start(hello, peer) {
        peer.write({ case: 'welcome', value: welcome });
        options.onAgent(createAgentSession(hello, peer));
      },
    });
  const route = (call: ServerDuplexStream<RouterMessage, RouterEnvelope>) =>
    receive<RouterMessage, RouterBody, RouterHello>(call, {
      authenticate: options.authenticateRouter,
      keyOf: ({ instance }) => `router ${instance}`,
      start(hello, peer) {
        peer.write({ case: 'welcome', value: welcome });
        options.onRouter(createRouterSession(hello, peer));
      },
    });

  const server = new Server(serverOptions);
  server.addService({ attach: attachMethod, route: routeMethod }, { attach, route });
  const certificate = watchCertificate(clock, options.tls);
  const { host } = options.listen;
  const port = await new Promise<number>((resolve, reject) => {
    const address = `${host.includes(':') ? `[${host}]` : host}:${options.listen.port}`;
    server.bindAsync(address, certificate.credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });

  return {
    port,
    async close() {
      certificate.stop();
      for (const closeSession of [...sessions.values()]) closeSession('the controller is stopping');
      await closeWithin(clock, server);
    },
  };
}

/** Lets the streams' last words out, then cuts what is left. */
async function closeWithin(clock: Clock, server: Server): Promise<void> {
  const cancel = clock.after(closeMsMax, () => server.forceShutdown());
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  cancel();
}

/** Ends the stream of a peer that says nothing, not even heartbeats, for `silenceMs`. */
function endWhenSilent<In, Body>(clock: Clock, silenceMs: number, peer: Peer<In, Body>): void {
  let heardMs = clock.monotonic();
  const check = () => {
    const leftMs = heardMs + silenceMs - clock.monotonic();
    if (leftMs <= 0) peer.close(status.DEADLINE_EXCEEDED, `nothing heard for ${silenceMs} ms`);
    else cancel = clock.after(leftMs, check);
  };
  let cancel = clock.after(silenceMs, check);
  peer.onMessage(() => {
    heardMs = clock.monotonic();
  });
  peer.onClose(() => cancel());
}

type CertificateListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

/** Credentials that follow `tls()`: new connections get the current certificate, those that stand are left alone. */
function watchCertificate(clock: Clock, tls: ControlServerOptions['tls']) {
  const listeners = new Set<CertificateListener>();
  let current = tls();
  const tell = (listener: CertificateListener) =>
    listener({ certificate: Buffer.from(current.cert), privateKey: Buffer.from(current.key) });
  const check = () => {
    const next = tls();
    if (next.cert !== current.cert) {
      current = next;
      for (const listener of listeners) tell(listener);
    }
    cancel = clock.after(certificateCheckMs, check);
  };
  let cancel = clock.after(certificateCheckMs, check);
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener() {},
    removeCaCertificateListener() {},
    addIdentityCertificateListener(listener) {
      listeners.add(listener);
      queueMicrotask(() => tell(listener)); // the server hears its credentials only once this has returned
    },
    removeIdentityCertificateListener: (listener) => void listeners.delete(listener),
  };
  return {
    // The parameters are named the other way round in 1.14: the first one is the server's own certificate.
    credentials: experimental.createCertificateProviderServerCredentials(provider, null, false),
    stop: () => cancel(),
  };
}
