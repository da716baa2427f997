export type HttpRequest = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
};

/** Header names are in lower case. */
export type HttpAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** A call of `inference.GRPCInferenceService`; a unary method takes one message. */
export type GrpcCall = { readonly method: string; readonly messages: readonly Uint8Array[] };

export type GrpcAnswer = { readonly code: number; readonly details: string; readonly messages: readonly Uint8Array[] };

/** How the suite reaches a server; it does no I/O of its own. Both reject when there is no answer. */
export type Transport = {
  readonly http: (request: HttpRequest) => Promise<HttpAnswer>;
  /** Streams where the method does. */
  readonly grpc: (call: GrpcCall) => Promise<GrpcAnswer>;
};
