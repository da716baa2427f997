/** Bounds of one relay. Sizes that protect parsing itself are constants beside the parsers. */
export type Limits = {
  /** For a whole head, from its first byte. */
  readonly headTimeoutMs: number;
  /** For a connection between requests, and for any standstill of a body, either way. */
  readonly idleTimeoutMs: number;
  /** How long a connection between requests is kept when the relay closes: a request may be on its way to us. */
  readonly partingMs: number;
  /** From the end of the request to the head of the answer. */
  readonly responseTimeoutMs: number;
  /** For a gRPC connection without streams: clients keep theirs for hours, and open another when they need one. */
  readonly grpcIdleTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** For an idle upstream connection: shorter than the upstream's own (5 s in Node.js and uvicorn), so that we close first. */
  readonly upstreamIdleTimeoutMs: number;
  /** How long one request may wait, all its waits together. */
  readonly parkedMs: number;
  /** Requests that wait at a time: each holds at most `replaySizeMax` and what its socket buffers. */
  readonly parkedMax: number;
  /** Client connections: 16 Ki at some 6 KB each are about 100 MB in the worst case. */
  readonly connectionsMax: number;
  /** Connections to one upstream: more requests than these at one model server only queue inside it. */
  readonly upstreamConnectionsMax: number;
  /** Of these, kept while idle. */
  readonly upstreamIdleMax: number;
  /** Bytes of a body that are kept for sending them again. */
  readonly replaySizeMax: number;
  /** Of one request, or of one message of gRPC; a picker may say otherwise for a request. */
  readonly bodySizeMax: number;
};

export const defaultLimits: Limits = {
  headTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  partingMs: 1_000,
  responseTimeoutMs: 300_000,
  grpcIdleTimeoutMs: 300_000,
  connectTimeoutMs: 2_000,
  upstreamIdleTimeoutMs: 4_000,
  parkedMs: 30_000,
  parkedMax: 1_024,
  connectionsMax: 16_384,
  upstreamConnectionsMax: 1_024,
  upstreamIdleMax: 128,
  replaySizeMax: 64 * 1024,
  bodySizeMax: Number.POSITIVE_INFINITY,
};
