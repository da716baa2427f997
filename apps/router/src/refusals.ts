import { isGrpc, isV1, otherProtocolPath, type Refusal, type RequestHead } from '@roundhouse/http-relay';
import type { Model, Service } from './service.ts';

/** The router's own answers; docs/spec/errors.md lists them. */

export const retryBudgetSpent: Refusal = {
  status: 503,
  reason: 'overloaded',
  message: 'too many requests are being retried',
  retryAfterS: 1,
};

/** The router as a whole has too much to do, and this service more than its share of it. */
export const overloaded: Refusal = {
  status: 503,
  reason: 'overloaded',
  message: 'the router has too many requests, and this service more than its share of them',
  retryAfterS: 1,
};

/** Too many wait for a replica, and this service has more than its share of them. */
export const tooManyWait: Refusal = {
  status: 503,
  reason: 'overloaded',
  message: 'too many requests wait for a replica',
  retryAfterS: 1,
};

export function queueFull(model: Model): Refusal {
  return { ...waitedForTurn(model), message: `${nameOf(model)} has as many requests as it may have` };
}

export function waitedForTurn(model: Model): Refusal {
  const message = `${nameOf(model)} was too busy for too long`;
  return { status: 503, reason: 'limit-reached', message, retryAfterS: 1 };
}

export function unauthenticated(service: Service, why: string): Refusal {
  const message = `service ${service.key} is not open to everybody: ${why}`;
  return { status: 401, reason: 'unauthenticated', message, authenticate: `Bearer realm="${service.key}"` };
}

export function forbidden(service: Service): Refusal {
  return { status: 403, reason: 'forbidden', message: `the credential does not open service ${service.key}` };
}

export const issuerAway: Refusal = {
  status: 503,
  reason: 'issuer-unavailable',
  message: "the token's issuer cannot be asked for its keys",
  retryAfterS: 5,
};

export const tooManyTokens: Refusal = {
  status: 503,
  reason: 'overloaded',
  message: 'too many tokens are being verified',
  retryAfterS: 1,
};

export function unknownHost(head: RequestHead): Refusal {
  const host = head.bytes.toString('latin1', head.hostStart, head.hostEnd);
  return { status: 404, reason: 'unknown-host', message: `no service has the host "${host}" or this path` };
}

export function unknownModel(service: Service, head: RequestHead): Refusal {
  return {
    status: 404,
    reason: 'unknown-model',
    message: `model "${head.modelName()}" is not in service ${service.key}`,
  };
}

/** A model that is known and that no replica has, or will have soon. */
export function notLoaded(model: Model): Refusal {
  return { status: 503, reason: 'no-replica', message: `no replica serves ${nameOf(model)} now`, retryAfterS: 1 };
}

const nameOf = ({ service, name }: Model) =>
  name === '' ? `service ${service.key}` : `model "${name}" of service ${service.key}`;

/** The path is of the protocol that the service's servers do not speak: the message names the other one's. */
export function wrongProtocol(service: Service, head: RequestHead): Refusal {
  const path = otherProtocolPath(head.route, head.modelName());
  return {
    status: 404,
    reason: 'wrong-protocol',
    message: `service ${service.key} does not speak ${isV1(head.route) ? 'V1' : 'V2'}: use ${isGrpc(head.route) ? 'HTTP and ' : ''}${path}`,
  };
}
