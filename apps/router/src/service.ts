import type { wire } from '@roundhouse/control-protocol';
import type { Exchange } from '@roundhouse/http-relay';
import type { Replica } from './replica.ts';

/** One InferenceService as clients see it. */
export type Service = {
  readonly key: string;
  /** Keeps its models apart from those of other services. */
  readonly id: number;
  route: wire.ServiceRoute;
  readonly replicas: Map<string, Replica>;
  readonly models: Map<string, Model>;
  /** What a path without a model is for: any replica will do. */
  readonly server: Model;
  limits: ServiceLimits;
  readonly load: ServiceLoad;
  readonly answers: Answers;
};

/** One model, with the replicas that hold it. */
export type Model = {
  readonly service: Service;
  /** Empty for the server as a whole. */
  readonly name: string;
  copies: readonly { readonly replica: string; readonly residency: wire.Residency }[];
  /** Those of `copies` whose replica is known: loaded, and assigned but not loaded (in the order to ask them). */
  warm: readonly Replica[];
  /** Those of `warm` in this router's zone, and the others; all are near where no zone is known. */
  near: readonly Replica[];
  far: readonly Replica[];
  cold: readonly Replica[];
  /** When the last copy went, in the clock's monotonic milliseconds; undefined if there was none yet. */
  lostMs: number | undefined;
  readonly seat: Seat;
};

/** Bounds of one service, in this router. `Infinity` is none. */
export type ServiceLimits = {
  /** Requests under way, and of those for any one model. */
  readonly concurrency: number;
  readonly modelConcurrency: number;
  /** Requests that wait for their turn beyond that; as many as may be under way when undefined. */
  readonly queue: number | undefined;
  /** Of one request, or of one message of gRPC. */
  readonly bodyBytes: number;
  readonly timeoutMs: number;
};

/** What a model has under way. It marks an exchange as counted, without an object per request. */
export class Seat {
  readonly model: Model;
  inFlight = 0;
  /** Those who wait for their turn; made when there is one. */
  queue: Set<Exchange> | undefined;

  constructor(model: Model) {
    this.model = model;
  }
}

/** Requests that are over, by the status of their answers. */
export class Answers {
  #fine = 0;
  readonly #others = new Map<number, number>();

  count(status: number): void {
    if (status === 200) this.#fine++;
    else this.#others.set(status, (this.#others.get(status) ?? 0) + 1);
  }

  /** Status and count of those that there were. */
  *[Symbol.iterator](): Generator<readonly [number, number]> {
    if (this.#fine > 0) yield [200, this.#fine];
    yield* this.#others;
  }
}

/** What a service has under way, and its models that somebody waits for, in the order of their turns. */
export type ServiceLoad = { inFlight: number; queued: number; readonly queues: Set<Model> };
