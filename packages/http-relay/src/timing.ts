/** Asks for `server-timing` in the answer; any value does. Every relay on the way adds a line of its own. */
export const timingName = 'x-roundhouse-timing';

/** Where the time of one request went, in the clock's monotonic milliseconds. */
export type Times = {
  readonly startedMs: number;
  /** Waiting to be allowed on, or for a replica. */
  readonly waitedMs: number;
  /** When the upstream was sent it, for the last time; 0 when it was not. */
  readonly sentMs: number;
};

/** The value of `server-timing` (https://www.w3.org/TR/server-timing/): our own share, what it waited, and what lies behind us. */
export function serverTiming(name: string, { startedMs, waitedMs, sentMs }: Times, nowMs: number): string {
  const behindMs = sentMs === 0 ? 0 : nowMs - sentMs;
  const ownMs = Math.max(0, nowMs - startedMs - behindMs - waitedMs);
  const parts = [`${name};dur=${ownMs.toFixed(3)}`];
  if (waitedMs > 0) parts.push(`${name}-wait;dur=${waitedMs.toFixed(3)}`);
  if (sentMs > 0) parts.push(`${name}-upstream;dur=${behindMs.toFixed(3)}`);
  return parts.join(', ');
}
