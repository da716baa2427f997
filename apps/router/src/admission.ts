import type { Answer, Exchange, Refusal } from '@roundhouse/http-relay';
import { overloaded, queueFull, waitedForTurn } from './refusals.ts';
import type { Model, Seat, Service } from './service.ts';

export type Admission = {
  /** Counts a request in, at once or when it is its turn. Undefined: it may go on. */
  enter(model: Model, exchange: Exchange): Answer | undefined;
  /** It is over, or goes elsewhere. */
  leave(seat: Seat): void;
  /** It waits no more. */
  forget(model: Model, exchange: Exchange): void;
  /** What a request is told that waited in vain; undefined when it did not wait for its turn. */
  waitedTooLong(model: Model, exchange: Exchange): Refusal | undefined;
  readonly inFlight: number;
  readonly queued: number;
};

/**
 * Lets requests through as their services' bounds allow. Whoever comes beyond them waits in a queue per model, and models take
 * turns, so that a busy one does not starve the others of its service; a full queue refuses at once, before a body is read.
 * All services together have `requestsMax`: from half of it on, none may have more than an equal share of the whole, so a
 * service that floods the router is refused while others still get in.
 */
export function createAdmission(requestsMax: number): Admission {
  let total = 0;
  let queuedInAll = 0;
  /** Services with requests under way. */
  let active = 0;
  const toServe = new Set<Service>();

  const take = (model: Model, exchange: Exchange) => {
    const { load } = model.service;
    total++;
    if (load.inFlight++ === 0) active++;
    model.seat.inFlight++;
    exchange.tag = model.seat;
  };

  const fits = ({ service, seat }: Model) =>
    service.load.inFlight < service.limits.concurrency && seat.inFlight < service.limits.modelConcurrency;

  const unqueue = (model: Model, exchange: Exchange) => {
    const { queue } = model.seat;
    if (!queue?.delete(exchange)) return;
    queuedInAll--;
    const { load } = model.service;
    load.queued--;
    if (queue.size === 0) load.queues.delete(model);
  };

  /** The first in the queue of the model whose turn it is. */
  const next = ({ load }: Service): [Model, Exchange] | undefined => {
    for (const model of load.queues) {
      if (!fits(model)) continue;
      const [exchange] = model.seat.queue!;
      unqueue(model, exchange!);
      if (load.queues.delete(model)) load.queues.add(model); // its next turn comes after everybody else's
      return [model, exchange!];
    }
    return undefined;
  };

  const serve = () => {
    const services = [...toServe];
    toServe.clear();
    for (const service of services) {
      for (let turn = next(service); turn !== undefined; turn = next(service)) {
        const [model, exchange] = turn;
        take(model, exchange);
        exchange.resume();
      }
    }
  };

  return {
    enter(model, exchange) {
      const { service } = model;
      const { load, limits } = service;
      if (total >= requestsMax / 2 && load.inFlight >= requestsMax / Math.max(1, active)) return overloaded;
      exchange.bodySizeMax = Math.min(exchange.bodySizeMax, limits.bodyBytes);
      exchange.responseTimeoutMs = Math.min(exchange.responseTimeoutMs, limits.timeoutMs);
      // Who waits already goes first.
      if (fits(model) && (load.queued === 0 || !model.seat.queue?.size)) {
        take(model, exchange);
        return undefined;
      }
      const most = limits.queue ?? Math.min(limits.concurrency, limits.modelConcurrency);
      if (load.queued >= most) return queueFull(model);
      model.seat.queue ??= new Set();
      model.seat.queue.add(exchange);
      load.queues.add(model);
      load.queued++;
      queuedInAll++;
      return 'parked';
    },
    leave(seat) {
      const { service } = seat.model;
      total--;
      seat.inFlight--;
      if (--service.load.inFlight === 0) active--;
      if (service.load.queued === 0) return;
      // Not from within the call that ended a request: that one is not through with the head that all share.
      if (toServe.size === 0) process.nextTick(serve);
      toServe.add(service);
    },
    forget: unqueue,
    waitedTooLong: (model, exchange) => (model.seat.queue?.has(exchange) ? waitedForTurn(model) : undefined),
    get inFlight() {
      return total;
    },
    get queued() {
      return queuedInAll;
    },
  };
}
