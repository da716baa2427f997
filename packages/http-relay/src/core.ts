import type { Clock } from '@roundhouse/base';
import type { Deadlines } from './deadlines.ts';
import type { Picker } from './exchange.ts';
import type { Limits } from './limits.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** What the relay as a whole does with a client connection. */
export type Closable = {
  /** Between requests, with nothing begun. */
  readonly idle: boolean;
  end(): void;
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
  /** Whether `x-forwarded-for` is among them. */
  readonly forwardedFor: boolean;
  readonly head: RequestHead;
  readonly responseHead: ResponseHead;
  /** Whose request is in `head`. */
  headOwner: Closable | undefined;
  readonly clients: Set<Closable>;
  closing: boolean;
  /** Requests that wait in `pick`'s name. */
  parked: number;
  nextRequestId(): string;
};
