import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { backoffMs, type Clock, messageOf, type Random } from '@roundhouse/base';
import type { Welcome } from './gen/control_pb.js';
import type { StreamLog } from './log.ts';

/** Where the elected controller is, and how to trust it and be trusted. */
export type Connection = {
  /** host:port; resolved anew at each attempt. */
  readonly address: string;
  /** The name that its certificate must carry. */
  readonly serverName: string;
  /** PEM; read at each attempt, so that a rotated CA works without a restart. */
  ca(): Promise<string>;
  /** The ServiceAccount token; asked again at each heartbeat, and sent when it has changed. */
  token(): Promise<string>;
};

export type Deps = { readonly clock: Clock; readonly random: Random; readonly log: StreamLog };

/** One attempt to talk to the controller, from hello to the end. */
export type Attempt<Body, Received> = {
  welcomed(welcome: Welcome): void;
  receive(message: Received): void;
  drained(): void;
  /** What to send at each heartbeat. */
  heartbeat(): Body;
  closed(): void;
};

/** What all messages of the controller have in common. */
type Envelope = {
  readonly epoch: bigint;
  readonly body: { readonly case: string | undefined; readonly value?: unknown };
};

export type StreamOptions<Body, Received extends Envelope> = {
  readonly connection: Connection;
  readonly method: {
    readonly path: string;
    requestSerialize(message: { body: Body }): Buffer;
    responseDeserialize(bytes: Buffer): Received;
  };
  readonly hello: (epoch: bigint) => Body;
  readonly renewal: (token: string) => Body;
  /** Called when a stream is opened. `write` is false when there is no room for more. */
  readonly open: (write: (body: Body) => boolean) => Attempt<Body, Received>;
};

/**
 * A controller that restarts is away for a second or two: try quickly at first, so that all are back soon after it is. An
 * attempt that nobody listens to costs one lookup and one SYN. Later, and after a refusal, leave it in peace.
 */
const quickAttempts = 20;
const quick = { firstMs: 50, maxMs: 250 };
const patient = { firstMs: 250, maxMs: 5_000 };

/** From the first SYN to the Welcome: the token's review is the slowest step, and the controller gives that 10 s. */
const welcomeMsMax = 15_000;

const channelOptions = (serverName: string) => ({
  'grpc.ssl_target_name_override': serverName,
  'grpc.default_authority': serverName,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  // One stream for the life of the connection: a retry inside would replay it behind our back, and buffer it for that.
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // Each attempt is a new channel with nothing remembered, since back-off and lookups are ours.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': 2 * 1024 * 1024,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
});

type Ending = { readonly welcomed: boolean; readonly code: number; readonly reason: string };

/** Keeps one stream to the controller for as long as `signal` lets it, whatever happens to the other side. */
export async function keepStream<Body, Received extends Envelope>(
  deps: Deps,
  options: StreamOptions<Body, Received>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, log } = deps;
  const fence = { epoch: 0n };
  let lastReason: string | undefined;
  for (let attempt = 1; !signal.aborted; attempt++) {
    const { welcomed, code, reason } = await runStream(deps, options, fence, signal);
    if (signal.aborted) return;
    if (welcomed) attempt = 1;
    if (code !== status.UNAVAILABLE) attempt = Math.max(attempt, quickAttempts);
    const delayMs =
      attempt <= quickAttempts
        ? backoffMs(quick, attempt, random)
        : backoffMs(patient, attempt - quickAttempts, random);
    if (reason !== lastReason) log.warn({ reason }, 'no stream to the controller'); // the same again says nothing new
    lastReason = welcomed ? undefined : reason;
    await clock.sleep(delayMs, signal).catch(() => {});
  }
}

async function runStream<Body, Received extends Envelope>(
  deps: Deps,
  options: StreamOptions<Body, Received>,
  fence: { epoch: bigint },
  signal: AbortSignal,
): Promise<Ending> {
  const { connection, method } = options;
  let token: string;
  let client: Client;
  try {
    const [ca, first] = await Promise.all([connection.ca(), connection.token()]);
    token = first;
    client = new Client(
      connection.address,
      credentials.createSsl(Buffer.from(ca)),
      channelOptions(connection.serverName),
    );
  } catch (error) {
    return { welcomed: false, code: status.FAILED_PRECONDITION, reason: messageOf(error) };
  }
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const { path, requestSerialize, responseDeserialize } = method;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
  try {
    return await converse(deps, options, { call, token, fence }, signal);
  } finally {
    client.close();
  }
}

type Talk<Body, Received> = {
  readonly call: ClientDuplexStream<{ body: Body }, Received>;
  readonly token: string;
  readonly fence: { epoch: bigint };
};

function converse<Body, Received extends Envelope>(
  { clock, log }: Deps,
  options: StreamOptions<Body, Received>,
  { call, token: firstToken, fence }: Talk<Body, Received>,
  signal: AbortSignal,
): Promise<Ending> {
  return new Promise((resolve) => {
    let token = firstToken;
    let welcomed = false;
    let ended = false;
    let cancelTimer = clock.after(welcomeMsMax, () => end(status.UNAVAILABLE, 'no welcome in time'));
    const write = (body: Body) => !ended && call.write({ body });
    const attempt = options.open(write);
    const onAbort = () => end(status.CANCELLED, 'stopped');

    const end = (code: number, reason: string) => {
      if (ended) return;
      ended = true;
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      call.cancel();
      attempt.closed();
      resolve({ welcomed, code, reason });
    };

    const beat = async (everyMs: number) => {
      write(attempt.heartbeat());
      const current = await options.connection.token().catch(() => token); // the next beat asks again
      if (ended) return;
      if (current !== token) write(options.renewal(current));
      token = current;
      cancelTimer = clock.after(everyMs, () => void beat(everyMs));
    };

    const receive = (message: Received) => {
      const { epoch, body } = message;
      if (epoch < fence.epoch)
        return end(status.FAILED_PRECONDITION, `epoch ${epoch} is over: ${fence.epoch} was seen`);
      fence.epoch = epoch;
      if (body.case !== 'welcome') return attempt.receive(message);
      const welcome = body.value as Welcome;
      welcomed = true;
      cancelTimer();
      log.info({ epoch: Number(epoch), version: welcome.version }, 'connected to the controller');
      attempt.welcomed(welcome);
      void beat(Math.max(100, welcome.heartbeatMs));
    };

    call.on('data', (message: Received) => {
      if (ended) return;
      try {
        receive(message);
      } catch (error) {
        end(status.INTERNAL, messageOf(error));
      }
    });
    call.on('drain', () => attempt.drained());
    call.on('error', () => {}); // its code and text come with the status
    call.on('status', ({ code, details }: StatusObject) => end(code, details));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) return onAbort();
    write(options.hello(fence.epoch));
  });
}
