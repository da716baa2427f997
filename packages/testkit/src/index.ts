export { type StepClock, stepClock } from './clock.ts';
export { type FakeModelServer, type Script, startFakeModelServer } from './model-server.ts';
