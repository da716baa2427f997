export { type StepClock, stepClock } from './clock.ts';
