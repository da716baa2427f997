import { isGrpc, isV1, type Refusal, type RequestHead, type Route, routes } from '@roundhouse/http-relay';
import type { Model, Service } from './route-table.ts';

/** The router's own answers; docs/spec/errors.md lists them. */

export const retryBudgetSpent: Refusal = {
  status: 503,
  reason: 'overloaded',
  message: 'too many requests are being retried',
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
export function notLoaded({ service, name }: Model): Refusal {
  const what = name === '' ? `service ${service.key}` : `model "${name}" of service ${service.key}`;
  return { status: 503, reason: 'no-replica', message: `no replica serves ${what} now`, retryAfterS: 1 };
}

/** The path is of the protocol that the service's servers do not speak: the message names the other one's. */
export function wrongProtocol(service: Service, head: RequestHead): Refusal {
  const path = otherProtocolPath(head.route, head.modelName());
  return {
    status: 404,
    reason: 'wrong-protocol',
    message: `service ${service.key} does not speak ${isV1(head.route) ? 'V1' : 'V2'}: use ${isGrpc(head.route) ? 'HTTP and ' : ''}${path}`,
  };
}

function otherProtocolPath(route: Route, model: string): string {
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
