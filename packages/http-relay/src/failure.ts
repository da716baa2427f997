import { type Refusal, refusals } from './refusal.ts';

/** Why an upstream did not answer a request. */
export type Failure = 'connect' | 'reset' | 'timeout' | 'protocol' | 'not-here';

/** What a client is told when nothing else is left to try. */
export function refusalFor(failure: Failure): Refusal {
  switch (failure) {
    case 'connect':
    case 'not-here':
      return refusals.connect;
    case 'reset':
      return refusals.reset;
    case 'protocol':
      return refusals.protocol;
    case 'timeout':
      return refusals.timeout;
  }
}
