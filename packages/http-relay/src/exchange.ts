import type { Failure } from './failure.ts';
import type { Refusal } from './refusal.ts';
import type { Route } from './route.ts';
import type { Upstream } from './upstream.ts';

/** Where a request goes: on, back, or nowhere yet. Who says `parked` calls `resume` later. */
export type Answer = Upstream | Refusal | 'parked';

/** What a picker sees of a request, as offsets into bytes: valid only while it is asked. */
export type PickHead = {
  readonly bytes: Buffer;
  /** Without the port, as it came; may be empty. */
  readonly hostStart: number;
  readonly hostEnd: number;
  /** Without the query. For gRPC the path names the method. */
  readonly pathStart: number;
  readonly pathEnd: number;
  readonly route: Route;
  /** The model's name, decoded: `[modelStart, modelEnd)` of `modelBytes`. Empty when the request names none. */
  readonly modelBytes: Buffer;
  readonly modelStart: number;
  readonly modelEnd: number;
  /** The model's name as text, for logs and messages. */
  modelName(): string;
  /** The value of the first field called `name` (lower case). */
  field(name: string): string | undefined;
};

/** One request and its answer. The object is reused by its connection: forget it after `onDone`. */
export type Exchange = {
  /** Whatever the picker wants to find again in its other callbacks. Undefined when a request begins. */
  tag: unknown;
  /** How often `pick` was asked before. */
  readonly attempt: number;
  /** Upstreams that were sent this request and have not answered it, in order. */
  readonly tried: readonly Upstream[];
  /** Where it is, or was last. */
  readonly upstream: Upstream | undefined;
  /** Of the answer, ours or the upstream's; 0 when the client got none. For gRPC the HTTP status that its code stands for. */
  readonly status: number;
  /** The reason in `x-roundhouse-reason` when we refused; `client-gone` or `truncated` when the answer did not arrive whole. */
  readonly reason: string | undefined;
  /** When the head was there, in the clock's monotonic milliseconds. */
  readonly startedMs: number;
  /** From `x-request-id`, or made; empty where the relay faces no clients and the request brought one. */
  readonly requestId: string;
  /** Of its `traceparent`; undefined where the relay faces no clients, or makes none. */
  readonly traceId: string | undefined;
  readonly remoteAddress: string | undefined;
  /** To be set while `pick` is asked: `Limits.bodySizeMax`, `Limits.responseTimeoutMs` for this request. */
  bodySizeMax: number;
  responseTimeoutMs: number;
  /** To be set while `pick` is asked: `authorization` and `x-api-key` end here. */
  dropsCredentials: boolean;
  /** Goes on with a parked request; without `answer` by asking `pick` again. Does nothing for one that is not parked. */
  resume(answer?: Answer): void;
};

export type Picker = {
  /**
   * What a kubelet is told that asks for health on the port of the traffic, whatever the path: KServe's pods are probed so, with
   * the field `K-Network-Probe`. Without this, such requests are like any other.
   */
  probe?(): Refusal;
  /**
   * Bytes to cut from the front of the path before it is classified (0 for none): for path prefixes that stand for a host.
   * Asked before `pick`, again when a parked request is resumed.
   */
  pathCut?(head: PickHead, exchange: Exchange): number;
  /** Asked for each request whose path is served, and again for each retry. Must not throw, and must not keep `head`. */
  pick(head: PickHead, exchange: Exchange): Answer;
  /**
   * An upstream answered with the marker "not here" and this status: whether to try elsewhere (`onFailure` and `pick` follow)
   * or to pass the answer on, without its marker. A picker without this does not believe the marker.
   */
  elsewhere?(upstream: Upstream, status: number, exchange: Exchange): boolean;
  /** A parked request has waited as long as it may: what its client is told, unless the relay's own words will do. */
  waitedTooLong?(exchange: Exchange): Refusal | undefined;
  /** An upstream failed a request, which may be retried. */
  onFailure?(upstream: Upstream, failure: Failure, exchange: Exchange): void;
  /** Once for each request whose head was understood, whatever became of it. */
  onDone?(exchange: Exchange): void;
};
