import {
  conditionsFor,
  firstBlocking,
  type InferenceServiceCondition,
  type InferenceServiceStatus,
  inferenceServiceConditions,
  type Names,
  type Verdict,
} from '@roundhouse/crds';
import { controlHost, controlPort, type Installation } from '../cluster.ts';
import type { CopyView } from '../trained-model/status.ts';
import type { Addresses } from './addresses.ts';
import type { Plan } from './plan.ts';

export type StatusFacts = {
  readonly names: Names;
  readonly installation: Installation;
  readonly generation: number;
  readonly plan: Plan;
  /** What went wrong while the plan was carried out. */
  readonly failure: string | undefined;
  readonly deployment: DeploymentView | undefined;
  readonly addresses: Addresses;
  /** A host that an older service has, and which (namespace/name). */
  readonly hostTaken: { readonly host: string; readonly by: string } | undefined;
  /** Names of Ready pods whose agent should be connected and is not. */
  readonly unreachable: readonly string[];
  /** Models for which no ConfigMap has room. */
  readonly homeless: number;
  /** Keys of the configuration that cannot be used. */
  readonly configProblems: readonly string[];
  /** Kinds that the cluster does not have, and that the service or the settings ask for. */
  readonly missingKinds: readonly string[];
  /** What replicas say of the service's own model; undefined of a service that is shared. */
  readonly ownCopies: readonly CopyView[] | undefined;
};

/** What a Deployment says of itself. */
export type DeploymentView = {
  /** As asked for: by us, or by an autoscaler. */
  readonly replicas?: number | undefined;
  readonly availableReplicas: number;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
};

const good: Verdict = { status: 'True' };
const owned: ReadonlySet<string> = new Set(Object.keys(inferenceServiceConditions));

/** The status of an InferenceService. `before` is the stored one; fields that others wrote stay. */
export function statusFor(facts: StatusFacts, before: InferenceServiceStatus, now: string): InferenceServiceStatus {
  const { plan, addresses } = facts;
  const verdicts = verdictsFor(facts);
  const isOwn = plan.kind === 'apply' && plan.resolution.predictor.format === 'custom';
  const runtime = plan.kind === 'apply' && !isOwn ? plan.resolution.runtime : undefined;
  return {
    ...before,
    url: addresses.url,
    address: { url: addresses.addressUrl },
    components: { predictor: { ...before.components?.predictor, url: addresses.componentUrl } },
    modelStatus: modelStatusFor(facts, verdicts.PredictorReady),
    deploymentMode: 'Standard',
    servingRuntimeName: runtime?.namespaced === true ? runtime.name : undefined,
    clusterServingRuntimeName: runtime?.namespaced === false ? runtime.name : undefined,
    observedGeneration: facts.generation,
    conditions: [...conditionsFor(verdicts, before.conditions ?? [], owned, now)],
  };
}

/** KServe's summary; of a shared service it says that it takes models, of another that its model is loaded. */
function modelStatusFor({ plan, deployment, ownCopies }: StatusFacts, predictor: Verdict | undefined) {
  const ready = predictor?.status === 'True';
  const failed = ownCopies?.filter(({ failure }) => failure !== undefined) ?? [];
  const failure = failed[0]?.failure;
  const blocked =
    plan.kind === 'blocked' ? 'InvalidSpec' : failure === undefined ? 'InProgress' : 'BlockedByFailedLoad';
  const target = failure !== undefined && !ready ? 'FailedToLoad' : ready ? 'Loaded' : 'Pending';
  const reasons = ['RuntimeNotRecognized', 'RuntimeDisabled', 'NoSupportingRuntime', 'InvalidPredictorSpec'];
  const info =
    failure !== undefined
      ? { reason: 'ModelLoadFailed', message: `${failure.reason}: ${failure.message}`, location: failed[0]?.pod }
      : plan.kind === 'blocked' && reasons.includes(plan.trouble.reason)
        ? plan.trouble
        : undefined;
  return {
    transitionStatus: ready && failure === undefined ? 'UpToDate' : blocked,
    states: { activeModelState: ready ? 'Loaded' : '', targetModelState: target },
    copies: { failedCopies: failed.length, totalCopies: deployment?.availableReplicas ?? 0 },
    ...(info === undefined ? {} : { lastFailureInfo: info }),
  };
}

function verdictsFor(facts: StatusFacts): Partial<Record<InferenceServiceCondition, Verdict>> {
  const { names, plan, installation, unreachable, homeless, configProblems, missingKinds } = facts;
  const PredictorReady = predictorVerdict(facts);
  const IngressReady = ingressVerdict(PredictorReady, facts);
  const first = firstBlocking(inferenceServiceConditions, { PredictorReady, IngressReady });
  const stalled = [PredictorReady, IngressReady].find(
    ({ reason }) => reason !== undefined && reason in inferenceServiceConditions.Stalled.reasons,
  );
  const limited = plan.kind === 'apply' ? plan.resolution.capacityBytes !== undefined : undefined;
  return {
    PredictorReady,
    IngressReady,
    Ready: first ?? good,
    ...(limited === undefined ? {} : { MemoryLimited: limited ? good : noLimit }),
    ...(homeless === 0 ? {} : { ModelConfigFull: fullVerdict(homeless) }),
    ...(configProblems.length === 0 ? {} : { ConfigInvalid: configVerdict(names, configProblems) }),
    ...(missingKinds.length === 0 ? {} : { KindMissing: missingVerdict(missingKinds) }),
    ...(plan.stopped ? { Stopped: stoppedVerdict(names) } : {}),
    ...(plan.unsupported.length === 0 ? {} : { UnsupportedField: unsupportedVerdict(plan.unsupported) }),
    ...(unreachable.length === 0 ? {} : { AgentUnreachable: unreachableVerdict(installation, unreachable) }),
    ...(stalled === undefined ? {} : { Stalled: { ...stalled, status: 'True' } }),
  };
}

const noLimit: Verdict = {
  status: 'False',
  reason: 'NoMemoryLimit',
  message: 'no memory limit is set on the predictor or its runtime: models are admitted without a check',
};

function stoppedVerdict({ annotations: { stop } }: Names): Verdict {
  return { status: 'True', reason: 'StopRequested', message: `${stop} is "true"` };
}

function predictorVerdict({ plan, failure, deployment, ownCopies }: StatusFacts): Verdict {
  if (plan.stopped) return { status: 'False', reason: 'Stopped', message: 'stopped on request' };
  if (plan.kind === 'blocked') return { status: 'False', ...plan.trouble };
  if (failure !== undefined) return { status: 'False', reason: 'ApplyFailed', message: failure };
  const find = (type: string) => deployment?.conditions.find((condition) => condition.type === type);
  const progressing = find('Progressing');
  if (find('Available')?.status === 'True' && (deployment?.availableReplicas ?? 0) > 0)
    return ownCopies === undefined ? good : ownVerdict(ownCopies);
  if (find('ReplicaFailure')?.status === 'True') return troubled('ReplicaFailure', find('ReplicaFailure')?.message);
  if (progressing?.status === 'False') return troubled('ProgressDeadlineExceeded', progressing.message);
  return { status: 'Unknown', reason: 'PredictorNotReady', message: 'no replica is available yet' };
}

function troubled(reason: string, message = 'see the Deployment'): Verdict {
  return { status: 'False', reason, message };
}

/** Whether a service's own model answers on any replica. */
function ownVerdict(copies: readonly CopyView[]): Verdict {
  if (copies.some(({ answers }) => answers)) return good;
  const failing = copies.find(({ failure }) => failure !== undefined);
  if (failing?.failure === undefined) {
    return { status: 'Unknown', reason: 'ModelNotLoaded', message: `on the way to ${copies.length} replicas` };
  }
  const { reason, message } = failing.failure;
  return troubled('ModelLoadFailed', `${failing.pod}: ${reason}: ${message}`);
}

function ingressVerdict(predictor: Verdict, { addresses, hostTaken }: StatusFacts): Verdict {
  if (addresses.problem !== undefined) return { status: 'False', reason: 'InvalidHost', message: addresses.problem };
  if (hostTaken !== undefined) {
    const message = `the older InferenceService ${hostTaken.by} has the host ${hostTaken.host}: rename one of them`;
    return { status: 'False', reason: 'HostConflict', message };
  }
  if (predictor.status === 'True') return good;
  return { status: 'False', reason: 'PredictorNotReady', message: 'waits for the predictor' };
}

function fullVerdict(models: number): Verdict {
  const message = `${models} models are in no ConfigMap: they load only while the control stream is up; use another InferenceService for some`;
  return { status: 'True', reason: 'AllShardsFull', message };
}

function configVerdict(names: Names, problems: readonly string[]): Verdict {
  return { status: 'True', reason: 'InvalidKey', message: `${names.settings}: ${problems.join('; ')}` };
}

function missingVerdict(kinds: readonly string[]): Verdict {
  const message = `this cluster has no ${kinds.join(', no ')}: install what brings it, or do not ask for it`;
  return { status: 'True', reason: 'NotInstalled', message };
}

function unsupportedVerdict(fields: readonly string[]): Verdict {
  return { status: 'True', reason: 'NotImplemented', message: `not in effect: ${fields.join(', ')}` };
}

function unreachableVerdict(installation: Installation, pods: readonly string[]): Verdict {
  const message = `no control stream from ${pods.join(', ')}: open port ${controlPort} of ${controlHost(installation)} to them`;
  return { status: 'True', reason: 'NoControlStream', message };
}
