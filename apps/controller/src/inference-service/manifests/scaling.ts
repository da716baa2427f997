import { hpaSpecFor, scaledObjectSpecFor } from '../autoscaling.ts';
import { childMetadata } from './metadata.ts';
import type { Rendering } from './rendering.ts';

/** The autoscaler that the service asks for; undefined when there is nothing to scale. */
export function autoscalerFor(rendering: Rendering) {
  const { predictor, autoscaling, config } = rendering;
  const metadata = metadataFor(rendering);
  if (!autoscaling.elsewhere) return undefined;
  if (autoscaling.class === 'hpa') {
    const spec = hpaSpecFor(predictor, autoscaling, metadata.name);
    return { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata, spec } as const;
  }
  if (autoscaling.class === 'keda') {
    const spec = scaledObjectSpecFor(predictor, autoscaling, metadata.name, config);
    return { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata, spec } as const;
  }
  return undefined;
}

/** Of several replicas one at a time may be evicted. */
export function disruptionBudgetFor(rendering: Rendering) {
  const { names, service, autoscaling } = rendering;
  if (autoscaling.maxReplicas < 2) return undefined;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataFor(rendering),
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: names.app(service.name) } } },
  } as const;
}

function metadataFor(rendering: Rendering) {
  const { names, service } = rendering;
  return {
    ...childMetadata(rendering),
    name: names.predictor(service.name),
    namespace: service.namespace,
    ownerReferences: [service.owner],
  };
}
