import type { Clock, Random } from '@roundhouse/base';
import type { Exchange } from '@roundhouse/http-relay';
import type { Log } from '@roundhouse/telemetry';
import type { Replica } from './replica.ts';
import type { Model } from './service.ts';

/** Lines in any one second: a flood of requests must not become one of lines. */
const linesPerSecond = 100;

export type AccessLog = (exchange: Exchange, model: Model | undefined) => void;

/**
 * Notes requests that are over: `ratio` of all (0 to 1), and each that failed for a reason of ours or of the server's (5xx), up
 * to a bound; the line after says how many were left out. Paths, bodies, queries and credentials are not in it.
 */
export function createAccessLog(
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  ratio: number,
): AccessLog {
  let second = 0;
  let lines = 0;
  let omitted = 0;

  return (exchange, model) => {
    if (ratio === 0 || (exchange.status < 500 && random() >= ratio)) return;
    const nowMs = clock.monotonic();
    const now = Math.floor(nowMs / 1_000);
    if (now !== second) {
      second = now;
      lines = 0;
    }
    if (++lines > linesPerSecond) {
      omitted++;
      return;
    }
    const { status, reason, requestId, traceId, remoteAddress, attempt, upstream, startedMs } = exchange;
    log.info(
      {
        ...{ service: model?.service.key, model: model?.name || undefined, status, reason },
        ms: Math.round((nowMs - startedMs) * 1_000) / 1_000,
        ...{ replica: (upstream?.tag as Replica | undefined)?.id, retries: attempt || undefined },
        ...{ requestId, traceId, client: remoteAddress, omitted: omitted || undefined },
      },
      'request',
    );
    omitted = 0;
  };
}
