export type { Address } from './address.ts';
export type { Answer, Exchange, Picker, PickHead as RequestHead } from './exchange.ts';
export type { Failure } from './failure.ts';
export type { Limits } from './limits.ts';
export { ModelTable } from './model-table.ts';
export type { Refusal } from './refusal.ts';
export { createRelay, type Relay, type RelayOptions } from './relay.ts';
export { hasModel, isGrpc, isPrediction, isV1, type Route, routes } from './route.ts';
export type { Upstream } from './upstream.ts';
