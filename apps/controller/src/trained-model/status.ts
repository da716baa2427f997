import { timestamp } from '@roundhouse/base';
import {
  conditionsFor,
  firstBlocking,
  type Names,
  type TrainedModelCondition,
  type TrainedModelStatus,
  trainedModelConditions,
  type Verdict,
} from '@roundhouse/crds';

/** What one replica says of one model. */
export type CopyView = {
  readonly pod: string;
  readonly stage: 'pending' | 'downloading' | 'loading' | 'loaded' | 'failed' | 'leaving';
  /** Whether requests for it are answered, be it by the version before. */
  readonly answers: boolean;
  /** Whether `answers` is for the wanted version. */
  readonly current: boolean;
  readonly failure: FailureView | undefined;
};

export type FailureView = {
  readonly kind: 'DownloadFailed' | 'LoadFailed';
  readonly reason: string;
  readonly message: string;
  readonly attempt: number;
  readonly timeMs: number;
  /** Undefined when only a change helps. */
  readonly nextRetryMs: number | undefined;
};

/** The parent as a model sees it. */
export type ParentView = {
  readonly ready: boolean;
  readonly whyNot: string | undefined;
  /** Undefined while it is not known. */
  readonly multiModel: boolean | undefined;
  readonly runtime:
    | { readonly name: string; readonly formats: readonly string[]; readonly supported: boolean }
    | undefined;
  readonly capacityBytes: number | undefined;
  readonly freeBytes: number | undefined;
  readonly gpuCapacityBytes?: number | undefined;
  readonly freeGpuBytes?: number | undefined;
  /** Replicas that the service asks for. */
  readonly replicas: number;
  readonly url: string | undefined;
  readonly addressUrl: string | undefined;
};

export type StatusFacts = {
  readonly names: Names;
  readonly generation: number;
  readonly deleting: boolean;
  readonly parentName: string;
  readonly parent: ParentView | undefined;
  /** What is wrong with the spec. */
  readonly problems: readonly string[];
  readonly framework: string;
  readonly memoryBytes: number;
  readonly gpuBytes?: number;
  /** Whether it has its place on the replicas. */
  readonly placed: boolean;
  readonly copies: readonly CopyView[];
  /** Path of predictions, below the parent's URL. */
  readonly path: string;
};

type Verdicts = Partial<Record<TrainedModelCondition, Verdict>>;

const good: Verdict = { status: 'True' };
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
const unknown = (reason: string, message: string): Verdict => ({ status: 'Unknown', reason, message });
const owned: ReadonlySet<string> = new Set(Object.keys(trainedModelConditions));

/** The whole status of a model. `before` is the stored one, for times of transition. */
export function statusFor(facts: StatusFacts, before: TrainedModelStatus, now: string): TrainedModelStatus {
  const { parent, path, placed, copies, generation } = facts;
  const desired = placed ? (parent?.replicas ?? 0) : 0;
  const loaded = copies.filter((copy) => copy.answers && copy.current).length;
  const failed = copies.filter(({ failure }) => failure !== undefined).length;
  const failure = lastFailure(copies);
  return {
    ...(parent?.url === undefined ? {} : { url: parent.url + path }),
    ...(parent?.addressUrl === undefined ? {} : { address: { url: parent.addressUrl + path } }),
    conditions: [...conditionsFor(verdictsFor(facts, desired, loaded), before.conditions ?? [], owned, now)],
    copies: { desired, loaded, failed, summary: `${loaded}/${desired}` },
    ...(failure === undefined ? {} : { lastFailure: failure }),
    observedGeneration: generation,
  };
}

/** The checks that decide whether replicas are asked to hold the model, in the order in which a user should read them. */
function checksFor({ parent, parentName, framework, memoryBytes, gpuBytes, placed }: StatusFacts): Verdicts {
  if (parent === undefined) {
    const missing = `InferenceService "${parentName}" does not exist; the model waits for it`;
    const waits = unknown('InferenceServiceNotFound', missing);
    return {
      InferenceServiceReady: no('InferenceServiceNotFound', missing),
      IsMMSPredictor: waits,
      FrameworkSupported: waits,
      MemoryResourceAvailable: waits,
    };
  }
  return {
    InferenceServiceReady: parent.ready
      ? good
      : no(
          'InferenceServiceNotReady',
          `InferenceService "${parentName}" is not ready: ${parent.whyNot ?? 'see its conditions'}`,
        ),
    IsMMSPredictor:
      parent.multiModel === false
        ? no('IsNotMMSPredictor', `InferenceService "${parentName}" is not for many models: it serves one of its own`)
        : good,
    FrameworkSupported: frameworkVerdict(parent, framework),
    MemoryResourceAvailable: placed || !applicable(parent) ? good : memoryVerdict(parent, memoryBytes, gpuBytes),
  };
}

const applicable = ({ multiModel, runtime }: ParentView) => multiModel === true && runtime?.supported === true;

function frameworkVerdict({ runtime }: ParentView, framework: string): Verdict {
  if (runtime === undefined) return unknown('RuntimeNotFound', 'the service has no runtime yet');
  if (runtime.supported) return good;
  const { name, formats } = runtime;
  return no(
    'FrameworkNotSupported',
    `runtime "${name}" does not serve framework "${framework}", only ${formats.join(', ')}`,
  );
}

function memoryVerdict(parent: ParentView, memoryBytes: number, gpuBytes = 0): Verdict {
  const { capacityBytes = Number.POSITIVE_INFINITY, freeBytes = Number.POSITIVE_INFINITY } = parent;
  const { gpuCapacityBytes = Number.POSITIVE_INFINITY, freeGpuBytes = Number.POSITIVE_INFINITY } = parent;
  return memoryBytes > capacityBytes || (memoryBytes > freeBytes && gpuBytes <= gpuCapacityBytes)
    ? noRoom('', memoryBytes, capacityBytes, freeBytes)
    : noRoom(' of GPU memory', gpuBytes, gpuCapacityBytes, freeGpuBytes);
}

function noRoom(kind: string, askedBytes: number, capacityBytes: number, freeBytes: number): Verdict {
  const asked = `the model asks for ${mebibytes(askedBytes)}${kind}`;
  return askedBytes > capacityBytes
    ? no('MemoryResourceNotAvailable', `${asked}, a whole replica has ${mebibytes(capacityBytes)} for models`)
    : no(
        'MemoryResourceNotAvailable',
        `${asked}, ${mebibytes(freeBytes)} of ${mebibytes(capacityBytes)} are free on each replica`,
      );
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)}Mi`;
}

function verdictsFor(facts: StatusFacts, desired: number, loaded: number): Verdicts {
  const { problems, deleting, placed, copies } = facts;
  const checks = checksFor(facts);
  const blocking = firstBlocking(trainedModelConditions, checks);
  const progress = placed ? progressVerdict(copies) : no('NotAdmitted', 'no replica is asked to load it');
  const invalid = problems.length > 0 ? no('InvalidSpec', problems.join('; ')) : undefined;
  const Ready = deleting
    ? no('Deleting', 'the model is being deleted')
    : (invalid ??
      (blocking === undefined ? undefined : { ...blocking, status: 'False' as const }) ??
      (copies.some(({ answers }) => answers) ? good : progress));
  const Loaded = placed && loaded > 0 && loaded >= desired ? good : progress;
  const stalled = stalledVerdict(facts, checks, invalid);
  return { ...checks, Loaded, Ready, ...(stalled === undefined ? {} : { Stalled: stalled }) };
}

/** Why no copy answers: a failure, until it is over or another version is wanted; else how far the furthest has come. */
function progressVerdict(copies: readonly CopyView[]): Verdict {
  if (copies.length === 0) return no('NoReplica', 'no replica of the service is connected');
  const failing = copies.find(({ failure, answers }) => failure !== undefined && !answers);
  if (failing?.failure !== undefined) {
    const { kind, reason, message } = failing.failure;
    return no(kind, `${failing.pod}: ${reason}: ${message}`);
  }
  const at = (stage: CopyView['stage']) =>
    copies.find((copy) => copy.stage === stage && !(copy.answers && copy.current));
  if (at('loading')) return no('Loading', 'the server is loading it');
  if (at('downloading')) return no('Downloading', 'its artifact is on the way');
  return no('Pending', 'waiting for its turn');
}

function stalledVerdict(facts: StatusFacts, checks: Verdicts, invalid: Verdict | undefined): Verdict | undefined {
  const { parent, memoryBytes, gpuBytes = 0, copies, placed } = facts;
  const { IsMMSPredictor: shared, FrameworkSupported: framework, MemoryResourceAvailable: memory } = checks;
  const isTooLarge =
    memoryBytes > (parent?.capacityBytes ?? Infinity) || gpuBytes > (parent?.gpuCapacityBytes ?? Infinity);
  const hopeless =
    invalid ??
    (shared?.status === 'False' ? shared : undefined) ??
    (framework?.status === 'False' ? framework : undefined) ??
    (memory?.status === 'False' && isTooLarge ? memory : undefined);
  if (hopeless !== undefined) return { ...hopeless, status: 'True' };
  const failures = copies.map(({ failure }) => failure);
  const final = failures.find((failure) => failure !== undefined && failure.nextRetryMs === undefined);
  const all =
    placed &&
    failures.length > 0 &&
    failures.every((failure) => failure !== undefined && failure.nextRetryMs === undefined);
  return all && final !== undefined ? { status: 'True', reason: 'NoRetry', message: final.message } : undefined;
}

function lastFailure(copies: readonly CopyView[]): TrainedModelStatus['lastFailure'] {
  const latest = copies
    .filter((copy) => copy.failure !== undefined)
    .sort((a, b) => (b.failure?.timeMs ?? 0) - (a.failure?.timeMs ?? 0))[0];
  if (latest?.failure === undefined) return undefined;
  const { reason, message, attempt, timeMs, nextRetryMs } = latest.failure;
  return {
    reason,
    message,
    pod: latest.pod,
    time: timestamp(timeMs),
    attempt,
    ...(nextRetryMs === undefined ? {} : { nextRetry: timestamp(nextRetryMs) }),
  };
}
