import type { Clock } from '@roundhouse/base';

/** Retries for each request, on average. */
const ratio = 0.2;
/** And in any second, so that few requests may be retried too. */
const perSecondMin = 10;
/** What may be saved up. */
const tokensMax = 100;

/** Keeps retries from multiplying the load of a service that is already in trouble. */
export type RetryBudget = {
  /** A request came. */
  earn(): void;
  /** Whether one retry may be made. */
  spend(): boolean;
};

export function createRetryBudget(clock: Clock): RetryBudget {
  let tokens = perSecondMin;
  let filledMs = clock.monotonic();
  return {
    earn() {
      tokens = Math.min(tokensMax, tokens + ratio);
    },
    spend() {
      const nowMs = clock.monotonic();
      tokens = Math.min(tokensMax, tokens + ((nowMs - filledMs) / 1000) * perSecondMin);
      filledMs = nowMs;
      if (tokens < 1) return false;
      tokens--;
      return true;
    },
  };
}
