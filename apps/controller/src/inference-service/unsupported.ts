import type { InferenceServiceSpec, ResolvedPredictor } from '@roundhouse/crds';
import { type Autoscaling, unsupportedScaling } from './autoscaling.ts';

const specFields = ['transformer', 'explainer', 'canary'];
const predictorFields = [
  ...['canaryTrafficPercent', 'workerSpec', 'logger', 'batcher', 'storageUris', 'storageContainerName', 'name'],
  'containerConcurrency',
];
/** Schemes of KServe's that need its storage initializer, or a volume. */
const artifactScheme = /^(s3|gs|https?|file):\/\/./;

/** Paths of fields that ask for what we do not do. The rest of the spec is in effect. */
export function unsupportedIn(
  { predictor, ...spec }: InferenceServiceSpec,
  { implementation }: ResolvedPredictor,
  autoscaling: Autoscaling,
): readonly string[] {
  const { storageUri, storage } = implementation;
  return [
    ...specFields.filter((field) => spec[field] !== undefined).map((field) => `spec.${field}`),
    ...predictorFields.filter((field) => predictor[field] !== undefined).map((field) => `spec.predictor.${field}`),
    ...(storage === undefined ? [] : ['storage of the predictor']),
    ...(storageUri === undefined || artifactScheme.test(storageUri) ? [] : [`storageUri ${schemeOf(storageUri)}`]),
    ...unsupportedScaling(predictor, autoscaling),
  ];
}

/** The artifact of a service with one model of its own; undefined when there is none that we can bring. */
export function ownArtifact({ implementation: { storageUri } }: ResolvedPredictor): string | undefined {
  return storageUri !== undefined && artifactScheme.test(storageUri) ? storageUri : undefined;
}

/** What can be shown of a URI: whatever follows may hold a secret. */
function schemeOf(uri: string): string {
  return /^[a-z0-9+.-]+:\/\//i.exec(uri)?.[0] ?? 'without a scheme';
}
