export type { Answer, Exchange, Failure, Picker } from './exchange.ts';
export type { Limits } from './limits.ts';
export { ModelTable } from './model-table.ts';
export type { Refusal } from './refusal.ts';
export { createRelay, type Relay, type RelayOptions } from './relay.ts';
export type { RequestHead } from './request-head.ts';
export { hasModel, isPrediction, isV1, type Route, routes } from './route.ts';
export type { Address, Upstream } from './upstream.ts';
