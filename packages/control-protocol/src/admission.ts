import { type Metadata, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { type Bounded, type Clock, messageOf } from '@roundhouse/base';

/** How long a peer may take to say hello, and the controller to check who it is (a TokenReview and a Pod from a cache). */
const admissionMsMax = 10_000;

/** A projected token is renewed at 80 % of its life, an hour or more: a minute is grace enough for clocks that differ. */
const expiryGraceMs = 60_000;

/** The other end of an admitted stream. */
export type Peer<In, Body> = {
  /** False when the peer has no room for more. */
  write(body: Body): boolean;
  /** Ends the stream; `receive` and `drained` are not called any more, `closed` is. */
  close(code: number, reason: string): void;
  onMessage(listener: (message: In) => void): void;
  onDrain(listener: () => void): void;
  onClose(listener: (reason: string) => void): void;
  /** Checks a token that the peer sent later; ends the stream when it is refused. */
  renew(token: string): void;
};

export type Admission<Hello> = {
  readonly clock: Clock;
  /** Bounds the reviews under way: after a restart of the controller all peers come at once. */
  readonly reviews: Bounded;
  /** Goes with every message; a peer that has seen a higher one is told that this leader's time is over. */
  readonly epoch: bigint;
  authenticate(token: string, hello: Hello): Promise<void>;
};

type Envelope<Hello> = {
  readonly body: { readonly case: 'hello'; readonly value: Hello } | { readonly case: unknown };
};

/** Hears the hello, checks the token, and hands the stream over; or ends it with the reason. */
export function admit<In, Body, Hello extends { readonly epoch: bigint }>(
  call: ServerDuplexStream<In, { epoch: bigint; body: Body }>,
  { clock, reviews, epoch, authenticate }: Admission<Hello>,
  admitted: (hello: Hello, peer: Peer<In, Body>) => void,
): void {
  const over = new AbortController();
  const listeners = { message: [] as ((message: In) => void)[], drain: [] as (() => void)[] };
  const closing: ((reason: string) => void)[] = [];
  let hello: Hello | undefined;
  let cancelExpiry = () => {};

  const forget = (reason: string) => {
    if (over.signal.aborted) return;
    over.abort(new Error(reason));
    cancelDeadline();
    cancelExpiry();
    for (const listener of closing) listener(reason);
  };
  const close = (code: number, details: string) => {
    if (over.signal.aborted) return;
    forget(details);
    call.emit('error', { code, details });
  };
  const cancelDeadline = clock.after(admissionMsMax, () =>
    close(status.UNAUTHENTICATED, 'no hello, or no answer, in time'),
  );

  const check = async (token: string, said: Hello) => {
    await reviews.run(() => authenticate(token, said), over.signal);
    cancelExpiry();
    const expiresMs = expiryMsOf(token);
    if (expiresMs === undefined) return;
    cancelExpiry = clock.after(expiresMs + expiryGraceMs - clock.now(), () =>
      close(status.UNAUTHENTICATED, 'the token has expired and no other one was sent'),
    );
  };
  const refuse = (error: unknown) => close(status.UNAUTHENTICATED, messageOf(error));

  const peer: Peer<In, Body> = {
    write: (body) => !over.signal.aborted && call.write({ epoch, body }),
    close,
    onMessage: (listener) => void listeners.message.push(listener),
    onDrain: (listener) => void listeners.drain.push(listener),
    onClose: (listener) => void closing.push(listener),
    renew: (token) => void (hello !== undefined && check(token, hello).catch(refuse)),
  };

  const greet = async (said: Hello) => {
    if (said.epoch > epoch) {
      return close(status.FAILED_PRECONDITION, `epoch ${epoch} is over: the peer has seen ${said.epoch}`);
    }
    call.pause(); // nothing is read for someone unknown
    await check(tokenIn(call.metadata), said);
    if (over.signal.aborted) return;
    cancelDeadline();
    admitted(said, peer);
    call.resume();
  };

  call.on('data', (message: In) => {
    if (over.signal.aborted) return;
    const { body } = message as Envelope<Hello>;
    if (hello !== undefined) for (const listener of listeners.message) listener(message);
    else if (body.case !== 'hello') close(status.INVALID_ARGUMENT, 'the first message must be a hello');
    else {
      hello = (body as { readonly value: Hello }).value;
      greet(hello).catch(refuse);
    }
  });
  call.on('drain', () => {
    if (!over.signal.aborted) for (const listener of listeners.drain) listener();
  });
  call.on('end', () => {
    forget('the peer ended the stream');
    call.end();
  });
  call.on('cancelled', () => forget('the connection ended'));
  call.on('error', () => forget('the stream failed'));
}

function tokenIn(metadata: Metadata): string {
  const value = metadata.get('authorization')[0];
  const token = typeof value === 'string' ? /^Bearer (\S+)$/.exec(value)?.[1] : undefined;
  if (token === undefined) throw new Error('no bearer token in the metadata');
  return token;
}

/** The expiry that a JWT names, in milliseconds since the epoch; the reviewer has checked its signature. */
function expiryMsOf(token: string): number | undefined {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
