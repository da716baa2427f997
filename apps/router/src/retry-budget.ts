import type { Clock } from '@roundhouse/base';

/** One retry for each five requests, on average. Counted in fifths, which add up exactly. */
const requestsPerRetry = 5;
/** And in any second, so that few requests may be retried too. */
const perSecondMin = 10;
/** Retries that may be saved up. */
const savedMax = 100;

/** Keeps retries from multiplying the load of a service that is already in trouble. */
export type RetryBudget = {
  /** A request came. */
  earn(): void;
  /** Whether one retry may be made. */
  spend(): boolean;
};

export function createRetryBudget(clock: Clock): RetryBudget {
  const max = savedMax * requestsPerRetry;
  const perSecond = perSecondMin * requestsPerRetry;
  let fifths = perSecond;
  let filledMs = clock.monotonic();
  return {
    earn() {
      fifths = Math.min(max, fifths + 1);
    },
    spend() {
      const nowMs = clock.monotonic();
      fifths = Math.min(max, fifths + ((nowMs - filledMs) / 1000) * perSecond);
      filledMs = nowMs;
      if (fifths < requestsPerRetry) return false;
      fifths -= requestsPerRetry;
      return true;
    },
  };
}
