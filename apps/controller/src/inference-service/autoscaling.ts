import type { Names, Predictor } from '@roundhouse/crds';
import { z } from 'zod';
import type { ServiceConfig } from './service-config.ts';

/** Who decides how many replicas there are. */
export type AutoscalerClass = 'hpa' | 'keda' | 'external' | 'none';

export type Autoscaling = {
  readonly class: AutoscalerClass;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  /** Whether somebody else than we writes the Deployment's `replicas`. */
  readonly elsewhere: boolean;
};

const target = z.looseObject({
  type: z.string().optional(),
  averageUtilization: z.int().optional(),
  averageValue: z.union([z.string(), z.number()]).optional(),
  value: z.union([z.string(), z.number()]).optional(),
});
const metric = z.looseObject({
  type: z.string(),
  resource: z.looseObject({ name: z.string(), target }).optional(),
  external: z
    .looseObject({ metric: z.looseObject({ backend: z.string().optional() }), target: target.optional() })
    .optional(),
});
const autoScaling = z.looseObject({ metrics: z.array(metric).optional(), behavior: z.looseObject({}).optional() });

type Metric = z.infer<typeof metric>;

/** KServe's choice of autoscaler; of one replica at most and at least there is nothing to scale. */
export function autoscalingFor(
  names: Names,
  predictor: Predictor,
  annotations: Readonly<Record<string, string>>,
): Autoscaling {
  const { autoscalerClass } = names.annotations;
  const asked = predictor.annotations?.[autoscalerClass] ?? annotations[autoscalerClass] ?? 'hpa';
  const named = (['keda', 'external', 'none'] as const).find((name) => name === asked) ?? 'hpa';
  const floor = named === 'hpa' ? 1 : 0;
  const minReplicas = Math.max(floor, predictor.minReplicas ?? 1);
  const maxReplicas = Math.max(minReplicas, predictor.maxReplicas ?? 0);
  const scales = named === 'external' || ((named === 'hpa' || named === 'keda') && maxReplicas > minReplicas);
  return { class: named, minReplicas, maxReplicas, elsewhere: scales };
}

/** What the predictor asks of autoscalers and does not get, as paths. */
export function unsupportedScaling(predictor: Predictor, { class: named }: Autoscaling): readonly string[] {
  const { metrics = [] } = autoScaling.safeParse(predictor.autoScaling ?? {}).data ?? {};
  const metricName = predictor.scaleMetric;
  return [
    ...(metricName === 'concurrency' || metricName === 'rps' ? ['spec.predictor.scaleMetric'] : []),
    ...metrics.flatMap((each, index) =>
      each.type === 'Resource' || (named === 'keda' && each.external?.metric.backend === 'prometheus')
        ? []
        : [`spec.predictor.autoScaling.metrics[${index}]`],
    ),
  ];
}

/** The spec of a HorizontalPodAutoscaler (autoscaling/v2) for the Deployment `name`. */
export function hpaSpecFor(predictor: Predictor, { minReplicas, maxReplicas }: Autoscaling, name: string): object {
  const { metrics, behavior } = autoScaling.safeParse(predictor.autoScaling ?? {}).data ?? {};
  const resources = metrics?.flatMap(({ resource }) => (resource === undefined ? [] : [resource])) ?? [];
  const asked = resources.length > 0 ? resources : [resourceFrom(predictor)];
  return {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    minReplicas,
    maxReplicas,
    metrics: asked.map((resource) => ({
      type: 'Resource',
      resource: { name: resource.name, target: targetFor(resource.target) },
    })),
    ...(behavior === undefined ? {} : { behavior }),
  };
}

/** The spec of a KEDA ScaledObject for the Deployment `name`. */
export function scaledObjectSpecFor(
  predictor: Predictor,
  { minReplicas, maxReplicas }: Autoscaling,
  name: string,
  { autoscaler }: ServiceConfig,
): object {
  const { metrics, behavior } = autoScaling.safeParse(predictor.autoScaling ?? {}).data ?? {};
  const seconds = (text: string | undefined, fallback: number) => (text ? Number(text) : fallback);
  const windows = {
    scaleUp: { stabilizationWindowSeconds: seconds(autoscaler.scaleUpStabilizationWindowSeconds, 0) },
    scaleDown: { stabilizationWindowSeconds: seconds(autoscaler.scaleDownStabilizationWindowSeconds, 300) },
  };
  const triggers = metrics?.flatMap((each) => triggerFor(each) ?? []) ?? [];
  const fallback = triggerFor({ type: 'Resource', resource: resourceFrom(predictor) });
  return {
    scaleTargetRef: { name },
    minReplicaCount: minReplicas,
    maxReplicaCount: maxReplicas,
    advanced: { horizontalPodAutoscalerConfig: { behavior: behavior ?? windows } },
    triggers: triggers.length > 0 ? triggers : [fallback],
  };
}

type Target = z.infer<typeof target>;

/** A percentage counts against the request and may well be above 100. */
function targetFor({ type, averageUtilization, averageValue, value }: Target): object {
  if (type === 'AverageValue' || (type === undefined && averageValue !== undefined))
    return { type: 'AverageValue', averageValue: String(averageValue ?? value) };
  if (type === 'Value') return { type: 'Value', value: String(value ?? averageValue) };
  return { type: 'Utilization', averageUtilization: averageUtilization ?? cpuPercentDefault };
}

const cpuPercentDefault = 80;

/** The older fields `scaleMetric`, `scaleTarget` and `scaleMetricType`. */
function resourceFrom({ scaleMetric, scaleTarget, scaleMetricType }: Predictor): {
  readonly name: string;
  readonly target: Target;
} {
  const name = scaleMetric === 'memory' ? 'memory' : 'cpu';
  const amount = typeof scaleTarget === 'number' ? scaleTarget : undefined;
  if (amount !== undefined && (scaleMetricType === 'AverageValue' || scaleMetricType === 'Value')) {
    const text = name === 'memory' ? `${amount}Mi` : String(amount);
    return { name, target: { type: scaleMetricType, averageValue: text, value: text } };
  }
  return { name, target: { type: 'Utilization', ...(amount === undefined ? {} : { averageUtilization: amount }) } };
}

function triggerFor({ resource, external }: Metric): object | undefined {
  if (resource !== undefined) {
    const { type = 'Utilization', averageUtilization, averageValue, value } = resource.target;
    const amount = averageUtilization ?? averageValue ?? value ?? cpuPercentDefault;
    return { type: resource.name, metricType: type, metadata: { value: String(amount) } };
  }
  if (external?.metric.backend !== 'prometheus') return undefined;
  const { serverAddress, query, namespace } = external.metric as Readonly<Record<string, string | undefined>>;
  const threshold = external.target?.value ?? external.target?.averageValue;
  const metadata = {
    serverAddress,
    query,
    namespace,
    threshold: threshold === undefined ? undefined : String(threshold),
  };
  const given = Object.entries(metadata).filter(([, each]) => each !== undefined);
  return { type: 'prometheus', metadata: Object.fromEntries(given) };
}
