import type { Clock } from '@roundhouse/base';
import type { Exchange } from '@roundhouse/http-relay';
import { Answers, type Model, type Service } from './service.ts';

const bucketsMs = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

export type Metrics = {
  /** Counts one request that is over. */
  count(exchange: Exchange, model: Model | undefined): void;
  /** In Prometheus' text format. */
  render(gauges: Gauges): string;
};

export type Gauges = {
  readonly connections: number;
  readonly inFlight: number;
  readonly parked: number;
  /** Of those, requests that wait for their turn. */
  readonly queued: number;
  readonly services: readonly Service[];
  readonly models: number;
  readonly controlConnected: boolean;
};

export function createMetrics(clock: Clock): Metrics {
  /** To requests for no service that there is. */
  const others = new Answers();
  /** Requests that were refused, or whose answer broke off, by reason. */
  const reasons = new Map<string, number>();
  const latency = new Float64Array(bucketsMs.length + 1);
  let latencySumMs = 0;

  return {
    count(exchange, model) {
      const answers = model === undefined ? others : model.service.answers;
      answers.count(exchange.status);
      if (exchange.reason !== undefined) reasons.set(exchange.reason, (reasons.get(exchange.reason) ?? 0) + 1);
      const tookMs = clock.monotonic() - exchange.startedMs;
      latencySumMs += tookMs;
      let bucket = 0;
      while (bucket < bucketsMs.length && tookMs > bucketsMs[bucket]!) bucket++;
      latency[bucket]!++;
    },
    render(gauges) {
      const lines = ['# TYPE roundhouse_router_requests_total counter'];
      for (const { key, answers } of [{ key: '', answers: others }, ...gauges.services]) {
        for (const [code, count] of answers) {
          lines.push(`roundhouse_router_requests_total{service="${key}",code="${code}"} ${count}`);
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
          services: gauges.services.length,
          models: gauges.models,
          control_connected: Number(gauges.controlConnected),
        }),
      );
      return `${lines.join('\n')}\n`;
    },
  };
}

function gaugeLines(values: Readonly<Record<string, number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    `# TYPE roundhouse_router_${name} gauge`,
    `roundhouse_router_${name} ${value}`,
  ]);
}
