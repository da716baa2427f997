export { type StepClock, stepClock } from './clock.ts';
export { type FakeModelServer, type Script, startFakeModelServer } from './model-server.ts';
export { type FakeHttpStore, type HttpStoreKnobs, startFakeHttpStore } from './stores/http.ts';
export type { FakeServer } from './stores/server.ts';
