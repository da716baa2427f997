import {
  inferenceServiceProblems,
  inferenceServiceSpec,
  type Names,
  type Predictor,
  type ResolvedPredictor,
  resolvePredictor,
} from '@roundhouse/crds';
import type { Installation } from '../cluster.ts';
import { type Autoscaling, autoscalingFor } from './autoscaling.ts';
import type { Child } from './children.ts';
import { deploymentFor } from './manifests/deployment.ts';
import type { ServiceIdentity } from './manifests/metadata.ts';
import type { Rendering, StorageAccess } from './manifests/rendering.ts';
import { autoscalerFor, disruptionBudgetFor } from './manifests/scaling.ts';
import { capacityBytesOf } from './manifests/server.ts';
import { serviceFor } from './manifests/service.ts';
import { chooseRuntime, ownRuntime, type Runtime, type RuntimeChoice, staticProblem } from './runtime.ts';
import { isMultiModelServer, type ServiceConfig } from './service-config.ts';
import { unreadableIn } from './traffic.ts';
import { ownArtifact, unsupportedIn } from './unsupported.ts';

/** Everything that decides what an InferenceService becomes. */
export type Facts = {
  readonly names: Names;
  readonly service: ServiceIdentity;
  readonly spec: unknown;
  /** The namespace's and the cluster's. */
  readonly runtimes: readonly Runtime[];
  readonly config: ServiceConfig;
  readonly storage: StorageAccess;
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
};

/** What its models need to know of a service. */
export type Resolution = {
  readonly predictor: ResolvedPredictor;
  readonly runtime: Runtime;
  readonly protocol: string;
  readonly autoscaling: Autoscaling;
  /** Per replica; undefined without a memory limit. */
  readonly capacityBytes: number | undefined;
  /** The one model of a service that is not shared. */
  readonly own: { readonly storageUri: string; readonly framework: string } | undefined;
};

export type Trouble = { readonly reason: string; readonly message: string };

/** Kinds of objects that a service may have besides its ConfigMaps. */
export const childKinds = [
  'Service',
  'Deployment',
  'HorizontalPodAutoscaler',
  'ScaledObject',
  'PodDisruptionBudget',
] as const;
export type ChildKind = (typeof childKinds)[number];
export type PredictorChild = Child & { readonly kind: ChildKind };

export type Plan = {
  readonly unsupported: readonly string[];
  /** Nothing is to run, on request. */
  readonly stopped: boolean;
} & (
  | { readonly kind: 'blocked'; readonly trouble: Trouble; readonly multiModel: boolean | undefined }
  | { readonly kind: 'apply'; readonly resolution: Resolution; readonly children: readonly PredictorChild[] }
);

/** What a service becomes, or why it cannot. */
export function planInferenceService(facts: Facts): Plan {
  const { names, service, spec, config, storage, fileRoots, installation } = facts;
  const problems = inferenceServiceProblems(service.name, spec);
  const parsed = inferenceServiceSpec.safeParse(spec).data;
  if (parsed === undefined || problems.length > 0) {
    const trouble = { reason: 'InvalidPredictorSpec', message: problems.join('; ') };
    return { kind: 'blocked', trouble, unsupported: [], stopped: false, multiModel: undefined };
  }
  const { predictor } = parsed;
  const resolved = resolvePredictor(predictor);
  const autoscaling = autoscalingFor(names, predictor, service.annotations);
  const unsupported = [...unsupportedIn(parsed, resolved, autoscaling), ...unreadableIn(service.annotations)];
  const { multiModel } = resolved;
  const stopped = service.annotations[names.annotations.stop] === 'true';
  const choice = runtimeFor(facts, predictor, resolved);
  if ('reason' in choice) return { kind: 'blocked', trouble: choice, unsupported, stopped, multiModel };
  const { runtime, protocol } = choice;
  const rendering: Rendering = {
    names,
    service,
    predictor,
    resolved,
    runtime,
    autoscaling,
    config,
    storage,
    fileRoots,
    installation,
  };
  const resolution = {
    predictor: resolved,
    runtime,
    protocol,
    autoscaling,
    capacityBytes: capacityBytesOf(rendering),
    own: ownModelOf(resolved),
  };
  return { kind: 'apply', unsupported, stopped, resolution, children: stopped ? [] : childrenFor(rendering) };
}

function childrenFor(rendering: Rendering) {
  const children: readonly (Child | undefined)[] = [
    serviceFor(rendering),
    deploymentFor(rendering),
    autoscalerFor(rendering),
    disruptionBudgetFor(rendering),
  ];
  return children.filter((child) => child !== undefined) as readonly PredictorChild[];
}

function ownModelOf(resolved: ResolvedPredictor): Resolution['own'] {
  const storageUri = ownArtifact(resolved);
  if (resolved.multiModel || storageUri === undefined || resolved.format === 'custom') return undefined;
  return { storageUri, framework: resolved.format.name };
}

/** The runtime that models are loaded with, if there is anything to load, and any way to. */
function runtimeFor(
  { names, runtimes, config }: Facts,
  predictor: Predictor,
  resolved: ResolvedPredictor,
): RuntimeChoice {
  const { format, multiModel } = resolved;
  const none = (message: string): RuntimeChoice => ({ reason: 'NoSupportingRuntime', message });
  if (format === 'custom') {
    if (!multiModel) {
      return none('containers of your own need the variable MULTI_MODEL_SERVER=true on the first of them');
    }
    const runtime = ownRuntime(predictor);
    return { runtime, protocol: runtime.spec.protocolVersions?.[0] ?? 'v1' };
  }
  if (!multiModel && ownArtifact(resolved) === undefined) {
    return none(`format "${format.name}" with neither TrainedModels nor a storageUri of s3, gs, https, http or file`);
  }
  const choice = chooseRuntime(resolved, runtimes);
  const isOptedIn = isMultiModelServer(config, format.name);
  const problem = 'runtime' in choice && !isOptedIn ? staticProblem(names, choice.runtime) : undefined;
  return problem === undefined ? choice : none(problem);
}
