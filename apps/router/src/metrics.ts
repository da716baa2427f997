import type { Clock } from '@roundhouse/base';
import type { Exchange } from '@roundhouse/http-relay';
import type { Model } from './service.ts';

const bucketsMs = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

/** Services whose requests are counted by name; those of services that are gone make room. */
const servicesMax = 10_000;

export type Metrics = {
  /** Counts one request that is over. */
  count(exchange: Exchange, model: Model | undefined): void;
  /** Forgets a service that is gone. */
  forget(service: string): void;
  /** In Prometheus' text format. */
  render(gauges: Gauges): string;
};

export type Gauges = {
  readonly connections: number;
  readonly inFlight: number;
  readonly parked: number;
  /** Of those, requests that wait for their turn. */
  readonly queued: number;
  readonly services: number;
  readonly models: number;
  readonly controlConnected: boolean;
};

export function createMetrics(clock: Clock): Metrics {
  const byService = new Map<string, Count[]>();
  /** Requests that were refused, or whose answer broke off, by reason. */
  const reasons = new Map<string, number>();
  const latency = new Float64Array(bucketsMs.length + 1);
  let latencySumMs = 0;

  return {
    count(exchange, model) {
      const service = model?.service.key ?? '';
      let codes = byService.get(service);
      if (codes === undefined) {
        if (byService.size >= servicesMax) return;
        codes = [];
        byService.set(service, codes);
      }
      countFor(codes, exchange.status).requests++;
      if (exchange.reason !== undefined) reasons.set(exchange.reason, (reasons.get(exchange.reason) ?? 0) + 1);
      const tookMs = clock.monotonic() - exchange.startedMs;
      latencySumMs += tookMs;
      let bucket = 0;
      while (bucket < bucketsMs.length && tookMs > bucketsMs[bucket]!) bucket++;
      latency[bucket]!++;
    },
    forget: (service) => void byService.delete(service),
    render(gauges) {
      const lines = ['# TYPE roundhouse_router_requests_total counter'];
      for (const [service, codes] of byService) {
        for (const { code, requests } of codes) {
          lines.push(`roundhouse_router_requests_total{service="${service}",code="${code}"} ${requests}`);
        }
      }
      lines.push('# TYPE roundhouse_router_failures_total counter');
      for (const [reason, count] of reasons) {
        lines.push(`roundhouse_router_failures_total{reason="${reason}"} ${count}`);
      }
      lines.push('# TYPE roundhouse_router_request_duration_seconds histogram');
      let total = 0;
      latency.forEach((count, index) => {
        total += count;
        const bound = index < bucketsMs.length ? String(bucketsMs[index]! / 1000) : '+Inf';
        lines.push(`roundhouse_router_request_duration_seconds_bucket{le="${bound}"} ${total}`);
      });
      lines.push(
        `roundhouse_router_request_duration_seconds_sum ${latencySumMs / 1000}`,
        `roundhouse_router_request_duration_seconds_count ${total}`,
        ...gaugeLines({
          client_connections: gauges.connections,
          requests_in_flight: gauges.inFlight,
          requests_parked: gauges.parked,
          requests_queued: gauges.queued,
          services: gauges.services,
          models: gauges.models,
          control_connected: Number(gauges.controlConnected),
        }),
      );
      return `${lines.join('\n')}\n`;
    },
  };
}

/** Requests that ended with one status. A service has few of them, and one that is far ahead: looking costs less than a map. */
type Count = { readonly code: number; requests: number };

function countFor(codes: Count[], status: number): Count {
  for (const count of codes) if (count.code === status) return count;
  const count = { code: status, requests: 0 };
  codes.push(count);
  return count;
}

function gaugeLines(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    `# TYPE roundhouse_router_${name} gauge`,
    `roundhouse_router_${name} ${value}`,
  ]);
}
