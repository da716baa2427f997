import type { Names, Predictor } from '@roundhouse/crds';
import type { Runtime } from '../runtime.ts';
import type { ServiceConfig } from '../service-config.ts';

/** The parts of an InferenceService's metadata that its children carry. */
export type ServiceIdentity = {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly owner: OwnerReference;
};

type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
  readonly blockOwnerDeletion: true;
};

/** Annotations that KServe does not hand on to children. */
const keptBack: readonly string[] = [
  'autoscaling.knative.dev/min-scale',
  'autoscaling.knative.dev/max-scale',
  'internal.serving.kserve.io/storage-initializer-sourceuri',
  'kubectl.kubernetes.io/last-applied-configuration',
  'modelFormat',
];

/** Labels and annotations of the service's objects: the runtime's, the service's, the predictor's, then our own. */
export function childMetadata(from: {
  readonly names: Names;
  readonly service: ServiceIdentity;
  readonly predictor: Predictor;
  readonly runtime: Runtime;
  readonly config: ServiceConfig;
}) {
  const { names, service, predictor, runtime, config } = from;
  const { serviceAnnotationDisallowedList, serviceLabelDisallowedList = [] } = config.inferenceService;
  const withheld = serviceAnnotationDisallowedList ?? keptBack;
  const inherited = Object.entries(service.annotations).filter(([key]) => !withheld.includes(key));
  const labels = Object.entries(service.labels).filter(([key]) => !serviceLabelDisallowedList.includes(key));
  const given = Object.entries({ ...runtime.spec.labels, ...Object.fromEntries(labels), ...predictor.labels });
  return {
    labels: {
      ...Object.fromEntries(given.filter(([key]) => !names.isForeignLabel(key))),
      ...serviceLabels(names, service.name),
    },
    annotations: { ...runtime.spec.annotations, ...Object.fromEntries(inherited), ...predictor.annotations },
  };
}

/** The labels by which a service's objects are found. */
export function serviceLabels(names: Names, service: string): Readonly<Record<string, string>> {
  return {
    app: names.app(service),
    [names.labels.service]: service,
    [names.labels.component]: 'predictor',
  };
}
