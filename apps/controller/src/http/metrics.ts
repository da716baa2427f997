import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Fleet } from '../assignments/fleet.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/** Metrics of the controller. Gauges are counted when asked for. */
export function createMetrics(fleet: () => Fleet | undefined) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const services = () => [...(fleet()?.services.values() ?? [])];

  const gauge = (name: string, help: string, count: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(count());
      },
    });
  gauge('roundhouse_controller_services', 'InferenceServices.', () => services().filter(({ view }) => view).length);
  gauge('roundhouse_controller_replicas', 'Replicas whose agents are connected.', () =>
    services().reduce((sum, { replicas }) => sum + [...replicas.values()].filter(({ session }) => session).length, 0),
  );
  gauge('roundhouse_controller_models', 'TrainedModels.', () => fleet()?.models.size ?? 0);
  gauge('roundhouse_controller_models_waiting', 'TrainedModels that wait for room.', () =>
    services().reduce((sum, { waiting }) => sum + waiting.size, 0),
  );
  const reconciles = new Histogram({
    name: 'roundhouse_controller_reconcile_seconds',
    help: 'Time of one reconciliation, by queue and outcome.',
    labelNames: ['queue', 'outcome'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });

  return {
    reconciled: (queue: string, outcome: 'done' | 'failed', durationMs: number) =>
      reconciles.observe({ queue, outcome }, durationMs / 1000),
    render: () => registry.metrics(),
  };
}
