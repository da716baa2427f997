import type { Clock, Random } from '@roundhouse/base';
import {
  type Answer,
  type Exchange,
  hasModel,
  isV1,
  type Picker,
  type Refusal,
  type RequestHead,
  type Upstream,
} from '@roundhouse/http-relay';
import type { Admission } from './admission.ts';
import type { Guard } from './auth/guard.ts';
import type { Freshness } from './freshness.ts';
import { nearby } from './policies/least-in-flight.ts';
import { notLoaded, retryBudgetSpent, tooManyWait, unknownHost, unknownModel, wrongProtocol } from './refusals.ts';
import type { Replica } from './replica.ts';
import { createRetryBudget } from './retry-budget.ts';
import type { RouteTable } from './route-table.ts';
import { type Model, Seat, type Service } from './service.ts';

/** For how long a model that lost its last copy is expected back: an agent or a model server that restarts. */
const returnMs = 30_000;
/** Replicas that may be sent one request, each after the one before said that it has not the model. */
const sendsMax = 3;
/** The same over all the times that a request waited: routes that keep changing must not keep it busy for ever. */
const sendsInAllMax = 16;

export type ProxyDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly table: RouteTable;
  readonly freshness: Pick<Freshness, 'complete'>;
  readonly admission: Admission;
  readonly guard: Guard;
  /** Requests that may wait at a time, of all services together. */
  readonly waitingMax: number;
  /** Called once per request with the model it was for, where that is known. */
  onDone(exchange: Exchange, model: Model | undefined): void;
};

export type RequestProxy = Required<Omit<Picker, 'probe'>> & {
  /** Requests that wait for this service are looked at again. */
  wake(service: Service): void;
  /** Those are whose service or model was not known while the table was not complete. */
  wakeUnknown(): void;
};

/**
 * Decides where each request goes. An exchange's tag is its model, or the whole server where its path names none; once the
 * request is counted in, the model's seat.
 */
export function createProxy(deps: ProxyDeps): RequestProxy {
  const { clock, random, table, freshness, admission, guard, waitingMax, onDone } = deps;
  const waiting = new Map<Service, Set<Exchange>>();
  const unknown = new Set<Exchange>();
  const budget = createRetryBudget(clock);
  let failureSent = false;
  /** How many tries of a request lie before its last wait: what a replica said then may be wrong by now. */
  const outdatedTries = new Map<Exchange, number>();

  let waitingInAll = 0;

  const unwait = (service: Service, exchange: Exchange) => {
    if (waitingInAll === 0) return;
    const exchanges = waiting.get(service);
    if (!exchanges?.delete(exchange)) return;
    waitingInAll--;
    if (exchanges.size === 0) waiting.delete(service);
  };

  const park = (service: Service, exchange: Exchange): Answer => {
    const exchanges = waiting.get(service);
    // A service whose replicas are all away must not fill the room in which others' requests wait for a moment.
    if (waitingInAll >= waitingMax / 2 && (exchanges?.size ?? 0) >= waitingMax / waiting.size) return tooManyWait;
    waitingInAll++;
    if (exchanges === undefined) waiting.set(service, new Set([exchange]));
    else exchanges.add(exchange);
    if (exchange.tried.length > 0) outdatedTries.set(exchange, exchange.tried.length);
    return 'parked';
  };

  /** It may have been made a moment ago, while the controller could not tell us. */
  const parkUnknown = (exchange: Exchange, refusal: Refusal): Answer => {
    if (freshness.complete) return refusal;
    if (unknown.size >= waitingMax / 2) return tooManyWait;
    unknown.add(exchange);
    return 'parked';
  };

  const resumeAll = (exchanges: Set<Exchange>) => {
    const resumed = [...exchanges];
    exchanges.clear();
    for (const exchange of resumed) exchange.resume();
  };

  const wake = (service: Service) => {
    const exchanges = waiting.get(service);
    if (exchanges === undefined) return;
    waiting.delete(service);
    waitingInAll -= exchanges.size;
    resumeAll(exchanges);
  };

  const unless = (tried: readonly Upstream[]) =>
    tried.length === 0 ? isUsable : (replica: Replica) => replica.usable && !tried.includes(replica.upstream);

  const choose = (model: Model, exchange: Exchange): Answer => {
    const tried = exchange.tried.slice(outdatedTries.get(exchange) ?? 0);
    const usable = unless(tried);
    const replica = nearby(model.near, model.far, usable, random) ?? model.cold.find(usable);
    if (replica !== undefined) return replica.upstream;
    if (tried.length >= sendsMax || exchange.tried.length >= sendsInAllMax) return notLoaded(model);
    // What has copies, or had them a moment ago, or whose service has no replica at all yet, is worth waiting for.
    const expected =
      model.warm.length + model.cold.length > 0 ||
      model.service.replicas.size === 0 ||
      (model.lostMs !== undefined && clock.monotonic() - model.lostMs < returnMs);
    return expected ? park(model.service, exchange) : notLoaded(model);
  };

  return {
    wake,
    wakeUnknown: () => resumeAll(unknown),

    pathCut(head, exchange) {
      const byHost = table.serviceByHost(head);
      if (byHost !== undefined) {
        mark(exchange, byHost);
        return 0;
      }
      const { service, cut } = table.serviceByPath(head);
      mark(exchange, service);
      return service !== undefined || freshness.complete ? cut : likelyCut(head);
    },

    pick(head, exchange) {
      const service = modelOf(exchange)?.service;
      if (service === undefined) return parkUnknown(exchange, unknownHost(head));
      const seated = exchange.tag instanceof Seat ? exchange.tag : undefined;
      if (service.route.auth.length > 0 && seated === undefined) {
        const answer = guard.check(service, head, exchange);
        if (answer !== undefined) return answer;
      }
      if (!(isV1(head.route) ? service.route.v1 : service.route.v2)) return wrongProtocol(service, head);
      const model = hasModel(head.route) ? table.model(service, head) : service.server;
      if (model === undefined) return parkUnknown(exchange, unknownModel(service, head));
      if (seated?.model !== model) {
        if (seated !== undefined) admission.leave(seated);
        exchange.tag = model;
        const answer = admission.enter(model, exchange);
        if (answer !== undefined) return answer;
      }
      if (exchange.attempt === 0) budget.earn();
      else if (failureSent && !budget.spend()) return retryBudgetSpent;
      failureSent = false;
      return choose(model, exchange);
    },

    elsewhere(upstream, status, exchange) {
      const model = modelOf(exchange)!;
      const isOther = (replica: Replica) => replica.upstream !== upstream && !exchange.tried.includes(replica.upstream);
      if (exchange.tried.length + 1 >= sendsMax) return false;
      // 404: the agent has heard of a change before us, and waiting for our turn is worth it. Otherwise it knows the model
      // and says why it fails, which the client should read unless somebody else has it.
      return status === 404 || [...model.warm, ...model.cold].some((replica) => replica.usable && isOther(replica));
    },

    waitedTooLong(exchange) {
      const model = modelOf(exchange);
      return model && admission.waitedTooLong(model, exchange);
    },

    onFailure(upstream, failure) {
      // A connection that was refused costs nobody anything: only what was sent counts as a retry.
      failureSent = failure !== 'connect';
      (upstream.tag as Replica).onFailure(failure);
    },

    onDone(exchange) {
      if (outdatedTries.size > 0) outdatedTries.delete(exchange);
      const model = modelOf(exchange);
      if (unknown.size > 0) unknown.delete(exchange);
      if (model !== undefined) {
        unwait(model.service, exchange);
        if (exchange.tag instanceof Seat) admission.leave(exchange.tag);
        else admission.forget(model, exchange);
        if (model.service.route.auth.length > 0) guard.forget(exchange);
        if (exchange.reason === undefined) (exchange.upstream?.tag as Replica | undefined)?.onAnswer();
      }
      onDone(exchange, model);
    },
  };

  /** Notes the service that the request is for. One that is counted in stays so, unless its service is another by now. */
  function mark(exchange: Exchange, service: Service | undefined) {
    if (exchange.tag instanceof Seat) {
      if (exchange.tag.model.service === service) return;
      admission.leave(exchange.tag);
    }
    exchange.tag = service?.server;
  }
}

const modelOf = ({ tag }: Exchange) => (tag instanceof Seat ? tag.model : (tag as Model | undefined));

const isUsable = (replica: Replica) => replica.usable;

/** While routes may be missing, what looks like a prefix is taken for one, so that the request can wait for them. */
function likelyCut({ bytes, pathStart, pathEnd }: RequestHead): number {
  const path = bytes.toString('latin1', pathStart, Math.min(pathEnd, pathStart + 512));
  return /^\/serving\/[^/]+\/[^/]+(?=\/)/.exec(path)?.[0].length ?? 0;
}
