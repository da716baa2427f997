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
import type { Plan } from './plan.ts';

export type StatusFacts = {
  readonly names: Names;
  readonly installation: Installation;
  readonly name: string;
  readonly namespace: string;
  readonly generation: number;
  readonly plan: Plan;
  /** What went wrong while the plan was carried out. */
  readonly failure: string | undefined;
  readonly deployment: DeploymentView | undefined;
  readonly host: string;
  /** The older service that has the host, as namespace/name. */
  readonly hostHolder: string | undefined;
  /** Names of Ready pods whose agent should be connected and is not. */
  readonly unreachable: readonly string[];
};

/** What a Deployment says of itself. */
export type DeploymentView = {
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
  const { names, name, namespace, plan, host, deployment } = facts;
  const verdicts = verdictsFor(facts);
  const runtime = plan.kind === 'apply' ? plan.resolution.runtime : undefined;
  const ready = verdicts.PredictorReady?.status === 'True';
  const state = ready ? 'Loaded' : 'Pending';
  return {
    ...before,
    url: `http://${host}`,
    address: { url: `http://${names.predictor(name)}.${namespace}.svc.cluster.local` },
    components: { predictor: { ...before.components?.predictor, url: `http://${predictorHostFor(host, name)}` } },
    modelStatus: {
      transitionStatus: ready ? 'UpToDate' : plan.kind === 'blocked' ? 'InvalidSpec' : 'InProgress',
      states: { activeModelState: ready ? state : '', targetModelState: state },
      copies: { failedCopies: 0, totalCopies: deployment?.availableReplicas ?? 0 },
    },
    deploymentMode: 'Standard',
    servingRuntimeName: runtime?.namespaced === true ? runtime.name : undefined,
    clusterServingRuntimeName: runtime?.namespaced === false ? runtime.name : undefined,
    observedGeneration: facts.generation,
    conditions: [...conditionsFor(verdicts, before.conditions ?? [], owned, now)],
  };
}

/** The host of the component, as KServe names it: its template with `<name>-predictor`. */
export function predictorHostFor(host: string, name: string): string {
  return host.replace(name, `${name}-predictor`);
}

function verdictsFor(facts: StatusFacts): Partial<Record<InferenceServiceCondition, Verdict>> {
  const { plan, installation, hostHolder, host, unreachable } = facts;
  const PredictorReady = predictorVerdict(facts);
  const IngressReady = ingressVerdict(PredictorReady, host, hostHolder);
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

function predictorVerdict({ plan, failure, deployment }: StatusFacts): Verdict {
  if (plan.kind === 'blocked') return { status: 'False', ...plan.trouble };
  if (failure !== undefined) return { status: 'False', reason: 'ApplyFailed', message: failure };
  const find = (type: string) => deployment?.conditions.find((condition) => condition.type === type);
  const progressing = find('Progressing');
  if (find('Available')?.status === 'True' && (deployment?.availableReplicas ?? 0) > 0) return good;
  if (find('ReplicaFailure')?.status === 'True') return troubled('ReplicaFailure', find('ReplicaFailure')?.message);
  if (progressing?.status === 'False') return troubled('ProgressDeadlineExceeded', progressing.message);
  return { status: 'Unknown', reason: 'PredictorNotReady', message: 'no replica is available yet' };
}

function troubled(reason: string, message = 'see the Deployment'): Verdict {
  return { status: 'False', reason, message };
}

function ingressVerdict(predictor: Verdict, host: string, holder: string | undefined): Verdict {
  if (holder !== undefined) {
    const message = `the older InferenceService ${holder} has the host ${host}: rename one of them`;
    return { status: 'False', reason: 'HostConflict', message };
  }
  if (predictor.status === 'True') return good;
  return { status: 'False', reason: 'PredictorNotReady', message: 'waits for the predictor' };
}

function unsupportedVerdict(fields: readonly string[]): Verdict {
  return { status: 'True', reason: 'NotImplemented', message: `not in effect: ${fields.join(', ')}` };
}

function unreachableVerdict(installation: Installation, pods: readonly string[]): Verdict {
  const message = `no control stream from ${pods.join(', ')}: open port ${controlPort} of ${controlHost(installation)} to them`;
  return { status: 'True', reason: 'NoControlStream', message };
}
