import type { Random } from './random.ts';

export type Backoff = { readonly firstMs: number; readonly maxMs: number; readonly factor?: number };

/**
 * Delay before attempt `attempt + 1` after `attempt` failures (1, 2, …): exponential with full jitter, so that many
 * clients that failed together do not come back together. Never under half of `firstMs`: a zero delay would spin.
 */
export function backoffMs({ firstMs, maxMs, factor = 2 }: Backoff, attempt: number, random: Random): number {
  const ceiling = Math.min(maxMs, firstMs * factor ** Math.min(attempt - 1, 60));
  return Math.max(firstMs / 2, random() * ceiling);
}
