import type { Socket } from 'node:net';
import type { Clock } from '@roundhouse/base';
import type { Deadlines } from './deadlines.ts';
import type { Picker } from './exchange.ts';
import type { Turn } from './h2/outbox.ts';
import type { GrpcHead } from './h2/pick-head.ts';
import type { Hangups } from './hangups.ts';
import type { Limits } from './limits.ts';
import type { RequestHead } from './request-head.ts';
import type { RequestIds } from './request-ids.ts';
import type { ResponseHead } from './response-head.ts';
import type { Splice } from './splice.ts';
import type { TraceContexts } from './trace-contexts.ts';

/** What the relay as a whole does with a client connection. */
export type Closable = {
  /** The relay closes: what has begun is finished, and the connection ends soon. */
  part(): void;
  destroy(): void;
};

/** What the connections of one relay share. */
export type Core = {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly picker: Picker;
  /** Field lines added to each request. */
  readonly added: Buffer;
  /** The same, with the type of bodies that name none. */
  readonly addedToUntyped: Buffer;
  /** It faces clients: adds `x-forwarded-for`, and names each request in its answer. */
  readonly edge: boolean;
  /** Makes a trace context for requests that bring none. */
  readonly traces: TraceContexts | undefined;
  readonly requestIds: RequestIds;
  readonly head: RequestHead;
  readonly responseHead: ResponseHead;
  /** Whose request is in `head`. */
  headOwner: Closable | undefined;
  /** The same for gRPC. */
  readonly grpcHead: GrpcHead;
  /** Our name in `via` and `server-timing`. */
  readonly name: string;
  readonly hangups: Hangups;
  readonly clients: Set<Closable>;
  readonly turn: Turn;
  readonly splice: Splice;
  /** Requests over HTTP/1.1 that have begun. */
  underWay: number;
  closing: boolean;
  /** Requests that wait in `pick`'s name. */
  parked: number;
  /** Takes over a client's connection that begins with HTTP/2's preface; `first` is what came of it. */
  openHttp2(socket: Socket, first: Buffer): void;
};
