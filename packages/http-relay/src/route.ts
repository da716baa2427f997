import { COLON, equals, PERCENT, SLASH, startsWith } from './bytes.ts';

/**
 * What may pass. Everything that is not on this list is answered 404 here: loading, unloading, the repository index, shared
 * memory, trace and log settings of a model server are nobody's business outside its pod.
 */
export const routes = {
  unknown: 0,
  v1List: 1, // /v1/models
  v1Model: 2, // /v1/models/M
  v1Predict: 3, // /v1/models/M:predict
  v2Server: 4, // /v2
  v2Live: 5, // /v2/health/live
  v2Ready: 6, // /v2/health/ready
  v2Model: 7, // /v2/models/M[/versions/V]
  v2ModelReady: 8, // /v2/models/M[/versions/V]/ready
  v2Infer: 9, // /v2/models/M[/versions/V]/infer
  grpcServer: 10, // ServerLive, ServerReady, ServerMetadata
  grpcModel: 11, // ModelReady, ModelMetadata
  grpcInfer: 12, // ModelInfer, ModelStreamInfer
} as const;

export type Route = (typeof routes)[keyof typeof routes];

export const isPrediction = (route: Route) => route === routes.v1Predict || route === routes.v2Infer;
export const isGrpc = (route: Route) =>
  route === routes.grpcServer || route === routes.grpcModel || route === routes.grpcInfer;
export const isV1 = (route: Route) => route >= routes.v1List && route <= routes.v1Predict;
/** Whether the request names a model. */
export const hasModel = (route: Route) =>
  route === routes.v1Model || route === routes.v1Predict || (route >= routes.v2Model && route !== routes.grpcServer);

/** Where the other protocol has what `route` asks for. */
export function otherProtocolPath(route: Route, model: string): string {
  switch (route) {
    case routes.v1Predict:
      return `/v2/models/${model}/infer`;
    case routes.v1Model:
      return `/v2/models/${model}`;
    case routes.v2Infer:
    case routes.grpcInfer:
      return `/v1/models/${model}:predict`;
    case routes.v2Model:
    case routes.v2ModelReady:
    case routes.grpcModel:
      return `/v1/models/${model}`;
    case routes.v1List:
      return '/v2';
    case routes.unknown:
    case routes.v2Server:
    case routes.v2Live:
    case routes.v2Ready:
    case routes.grpcServer:
      return '/v1/models';
  }
}

/** A path taken apart, as offsets into the bytes it was read from. Reused. */
export class Path {
  route: Route = routes.unknown;
  /** Of the model's name as it stands in the path, escapes and all. */
  modelStart = 0;
  modelEnd = 0;
  /** Some byte of the name, or the colon behind it, is percent-encoded. */
  escaped = false;

  /** Reads the path `[start, end)`, without its query. Pure: knows no hosts, no models, no methods. */
  parse(bytes: Uint8Array, start: number, end: number): Route {
    this.modelStart = this.modelEnd = start;
    this.escaped = false;
    this.route = routes.unknown;
    if (end - start >= 10 && startsWith(bytes, start, '/v1/models')) this.route = this.#v1(bytes, start + 10, end);
    else if (end - start >= 3 && startsWith(bytes, start, '/v2')) this.route = this.#v2(bytes, start + 3, end);
    return this.route;
  }

  #v1(bytes: Uint8Array, at: number, end: number): Route {
    if (at === end) return routes.v1List;
    if (bytes[at] !== SLASH) return routes.unknown;
    const start = at + 1;
    let predict = false;
    let nameEnd = end;
    if (end - start > 8 && equals(bytes, end - 8, end, ':predict')) {
      nameEnd = end - 8;
      predict = true;
    } else if (end - start > 10 && equals(bytes, end - 7, end, 'predict') && isEscapedColon(bytes, end - 10)) {
      nameEnd = end - 10;
      predict = true;
      this.escaped = true;
    }
    if (!this.#name(bytes, start, nameEnd)) return routes.unknown;
    return predict ? routes.v1Predict : routes.v1Model;
  }

  #v2(bytes: Uint8Array, at: number, end: number): Route {
    if (at === end || equals(bytes, at, end, '/')) return routes.v2Server;
    if (equals(bytes, at, end, '/health/live')) return routes.v2Live;
    if (equals(bytes, at, end, '/health/ready')) return routes.v2Ready;
    if (end - at < 9 || !startsWith(bytes, at, '/models/')) return routes.unknown;
    let i = segmentEnd(bytes, at + 8, end);
    if (!this.#name(bytes, at + 8, i)) return routes.unknown;
    if (end - i > 10 && startsWith(bytes, i, '/versions/')) {
      const version = i + 10;
      i = segmentEnd(bytes, version, end);
      const isVersion = i > version && !isDots(bytes, version, i) && !bytes.subarray(version, i).includes(PERCENT);
      if (!isVersion) return routes.unknown;
    }
    if (i === end) return routes.v2Model;
    if (equals(bytes, i, end, '/infer')) return routes.v2Infer;
    return equals(bytes, i, end, '/ready') ? routes.v2ModelReady : routes.unknown;
  }

  #name(bytes: Uint8Array, start: number, end: number): boolean {
    if (start >= end || isDots(bytes, start, end)) return false;
    for (let i = start; i < end; i++) {
      if (bytes[i] === PERCENT) this.escaped = true;
      else if (bytes[i] === SLASH || bytes[i] === COLON) return false; // another verb than :predict, or a deeper path
    }
    this.modelStart = start;
    this.modelEnd = end;
    return true;
  }
}

/** `.` and `..`, which some servers take as steps in a path: RFC 3986 5.2.4. */
export const isDots = (bytes: Uint8Array, start: number, end: number) =>
  equals(bytes, start, end, '.') || equals(bytes, start, end, '..');

const isEscapedColon = (bytes: Uint8Array, at: number) =>
  bytes[at] === PERCENT && bytes[at + 1] === 0x33 && (bytes[at + 2]! | 0x20) === 0x61;

function segmentEnd(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && bytes[i] !== SLASH) i++;
  return i;
}
