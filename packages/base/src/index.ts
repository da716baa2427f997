export { type Backoff, backoffMs } from './backoff.ts';
export { type Bounded, bounded } from './bounded.ts';
export { type Clock, systemClock, timestamp } from './clock.ts';
export { assert, CodedError, messageOf, systemCodeOf } from './errors.ts';
export { type Random, systemRandom } from './random.ts';
export { Secret } from './secret.ts';
export { stopOn, within } from './signal.ts';
