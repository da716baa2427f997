import type { ConditionKind } from '../condition.ts';

/** Conditions of an InferenceService: KServe's, and ours that say more. */
export const inferenceServiceConditions = {
  PredictorReady: {
    meaning: 'The model servers run and take requests.',
    good: 'True',
    rank: 1,
    reasons: {
      InvalidPredictorSpec: 'A field of the spec is not valid; the message names it.',
      RuntimeNotRecognized: 'The runtime that the spec names does not exist.',
      RuntimeDisabled: 'The runtime that the spec names is disabled.',
      NoSupportingRuntime: 'No enabled runtime supports the format and protocol.',
      ApplyFailed: 'An object of the service could not be written; the message says why.',
      PredictorNotReady: 'No replica is available yet.',
      ProgressDeadlineExceeded: 'The Deployment gave up waiting for its pods.',
      ReplicaFailure: 'Pods cannot be made, for instance for lack of quota.',
      ModelNotLoaded: 'The service has a model of its own, and no replica has loaded it yet.',
      ModelLoadFailed:
        "The service's own model could not be brought or loaded; the message says why, and it is tried again.",
      Stopped: 'The annotation serving.kserve.io/stop is set.',
    },
  },
  IngressReady: {
    meaning: 'Routers know the host and path of the service.',
    good: 'True',
    rank: 2,
    reasons: {
      HostConflict: 'An older service has this host; the message names it.',
      PredictorNotReady: 'Routers are told once the predictor is ready.',
      InvalidHost: 'The domain template gives a host that is none.',
    },
  },
  Ready: {
    meaning: 'The service takes requests: PredictorReady and IngressReady are True.',
    good: 'True',
    reasons: {},
  },
  MemoryLimited: {
    meaning: 'The memory limit of the server decides how many models fit.',
    good: 'True',
    reasons: {
      NoMemoryLimit: 'Neither the service nor its runtime sets a memory limit: models are admitted without a check.',
    },
  },
  AgentUnreachable: {
    meaning: 'A pod that should be connected to the controller is not.',
    good: 'False',
    reasons: {
      NoControlStream: 'The pods named in the message cannot reach the control port; models still load, minutes later.',
    },
  },
  ModelConfigFull: {
    meaning: 'The ConfigMaps have no room for some models.',
    good: 'False',
    reasons: {
      AllShardsFull:
        'All sixteen are full: the models that the message counts load only while the control stream is up.',
    },
  },
  ConfigInvalid: {
    meaning: 'The ConfigMap inferenceservice-config has a key that cannot be used.',
    good: 'False',
    reasons: { InvalidKey: 'The message names the keys; running services stay as they are until these are mended.' },
  },
  KindMissing: {
    meaning: 'The service, or the settings for all, ask for an object of a kind that the cluster does not have.',
    good: 'False',
    reasons: {
      NotInstalled: 'The message names the kinds; everything else is in effect, and they are looked for again.',
    },
  },
  Stopped: {
    meaning: 'The service is stopped on request: it has no replicas.',
    good: 'False',
    reasons: { StopRequested: 'The annotation serving.kserve.io/stop is set.' },
  },
  UnsupportedField: {
    meaning: 'The spec asks for something that Roundhouse does not do.',
    good: 'False',
    reasons: { NotImplemented: 'The message names the fields; the rest of the spec is in effect.' },
  },
  Stalled: {
    meaning: 'Only an edit can help.',
    good: 'False',
    reasons: {
      InvalidPredictorSpec: 'See PredictorReady.',
      RuntimeDisabled: 'See PredictorReady.',
      HostConflict: 'See IngressReady.',
      InvalidHost: 'See IngressReady.',
      NoSupportingRuntime: 'See PredictorReady.',
    },
  },
} as const satisfies Readonly<Record<string, ConditionKind>>;

export type InferenceServiceCondition = keyof typeof inferenceServiceConditions;
