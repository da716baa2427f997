import {
  type InferenceServiceSpec,
  inferenceServiceProblems,
  inferenceServiceSpec,
  type Names,
  type ResolvedPredictor,
  resolvePredictor,
} from '@roundhouse/crds';
import type { Installation } from '../cluster.ts';
import { deploymentFor } from './manifests/deployment.ts';
import type { ServiceIdentity } from './manifests/metadata.ts';
import type { Rendering } from './manifests/rendering.ts';
import { capacityBytesOf } from './manifests/server.ts';
import { serviceFor } from './manifests/service.ts';
import { chooseRuntime, type Runtime } from './runtime.ts';
import { unreadableIn } from './traffic.ts';

/** Everything that decides what an InferenceService becomes. */
export type Facts = {
  readonly names: Names;
  readonly service: ServiceIdentity;
  readonly spec: unknown;
  /** The namespace's and the cluster's. */
  readonly runtimes: readonly Runtime[];
  readonly secrets: readonly string[];
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
};

/** What its models need to know of a service. */
export type Resolution = {
  readonly predictor: ResolvedPredictor;
  readonly runtime: Runtime;
  readonly protocol: string;
  readonly replicas: number;
  /** Per replica; undefined without a memory limit. */
  readonly capacityBytes: number | undefined;
};

export type Trouble = { readonly reason: string; readonly message: string };

export type Plan = {
  readonly unsupported: readonly string[];
} & (
  | { readonly kind: 'blocked'; readonly trouble: Trouble; readonly multiModel: boolean | undefined }
  | {
      readonly kind: 'apply';
      readonly resolution: Resolution;
      readonly children: readonly (ReturnType<typeof deploymentFor> | ReturnType<typeof serviceFor>)[];
    }
);

/** What a service becomes, or why it cannot. */
export function planInferenceService({
  names,
  service,
  spec,
  runtimes,
  secrets,
  fileRoots,
  installation,
}: Facts): Plan {
  const problems = inferenceServiceProblems(service.name, spec);
  const parsed = inferenceServiceSpec.safeParse(spec).data;
  if (parsed === undefined || problems.length > 0) {
    const trouble = { reason: 'InvalidPredictorSpec', message: problems.join('; ') };
    return { kind: 'blocked', trouble, unsupported: [], multiModel: undefined };
  }
  const unsupported = [...unsupportedIn(parsed), ...unreadableIn(service.annotations)];
  const resolved = resolvePredictor(parsed.predictor);
  const choice = chooseRuntime(resolved, runtimes);
  if ('reason' in choice) return { kind: 'blocked', trouble: choice, unsupported, multiModel: resolved.multiModel };
  const { runtime, protocol } = choice;
  const { predictor } = parsed;
  const rendering: Rendering = { names, service, predictor, resolved, runtime, secrets, fileRoots, installation };
  const resolution = {
    predictor: resolved,
    runtime,
    protocol,
    replicas: predictor.minReplicas ?? 1,
    capacityBytes: capacityBytesOf(rendering),
  };
  return { kind: 'apply', unsupported, resolution, children: [serviceFor(rendering), deploymentFor(rendering)] };
}

/** Fields that ask for what we do not do. The rest of the spec is in effect. */
function unsupportedIn({ predictor, ...spec }: InferenceServiceSpec): readonly string[] {
  const { implementation, multiModel } = resolvePredictor(predictor);
  const asked = [
    ...['transformer', 'explainer', 'canary']
      .filter((field) => spec[field] !== undefined)
      .map((field) => `spec.${field}`),
    ...['canaryTrafficPercent', 'workerSpec', 'logger', 'batcher', 'storageUris', 'autoScaling']
      .filter((field) => predictor[field] !== undefined)
      .map((field) => `spec.predictor.${field}`),
  ];
  if (!multiModel && implementation.storageUri !== undefined) asked.push('storageUri of the predictor');
  return asked;
}
