import type { ConditionKind } from '../condition.ts';

/** Conditions of a TrainedModel: KServe's four, and ours that say what happens on the replicas. */
export const trainedModelConditions = {
  // First, since only an edit can mend it: a service that is not ready would hide it.
  IsMMSPredictor: {
    meaning: 'The InferenceService is for many models: it has no model of its own.',
    good: 'True',
    rank: 1,
    reasons: {
      IsNotMMSPredictor: 'The InferenceService serves one model of its own.',
      InferenceServiceNotFound: 'Not known yet.',
    },
  },
  InferenceServiceReady: {
    meaning: 'The InferenceService takes requests.',
    good: 'True',
    rank: 2,
    reasons: {
      InferenceServiceNotFound: 'No InferenceService of that name; the model waits for it.',
      InferenceServiceNotReady: 'The InferenceService is not ready.',
    },
  },
  FrameworkSupported: {
    meaning: "The service's runtime lists the framework.",
    good: 'True',
    rank: 3,
    reasons: {
      FrameworkNotSupported: 'The runtime does not list it; the message names those that it does.',
      RuntimeNotFound: 'The service has no runtime yet.',
      InferenceServiceNotFound: 'Not known yet.',
    },
  },
  MemoryResourceAvailable: {
    meaning: 'Every replica has room for the model.',
    good: 'True',
    rank: 4,
    reasons: {
      MemoryResourceNotAvailable: 'It does not fit now; it is admitted when room frees.',
      InferenceServiceNotFound: 'Not known yet.',
    },
  },
  Loaded: {
    meaning: 'All replicas that are to hold the model have it loaded. Never blocks Ready.',
    good: 'True',
    reasons: {
      NotAdmitted: 'A check before it failed: no replica is asked to load it.',
      NoReplica: 'No replica of the service is connected.',
      Pending: 'Waiting for its turn.',
      Downloading: 'Its artifact is on the way.',
      Loading: 'The server is loading it.',
      DownloadFailed: 'See lastFailure.',
      LoadFailed: 'See lastFailure.',
    },
  },
  Ready: {
    meaning: 'A request would be answered: the checks hold, and at least one replica that takes traffic has it.',
    good: 'True',
    reasons: {
      InvalidSpec: 'A field of the spec is not valid; the message names it.',
      Deleting: 'The model is being deleted.',
      NotAdmitted: 'See the other conditions.',
      NoReplica: 'No replica of the service is connected.',
      Pending: 'Waiting for its turn.',
      Downloading: 'Its artifact is on the way.',
      Loading: 'The server is loading it.',
      DownloadFailed: 'See lastFailure.',
      LoadFailed: 'See lastFailure.',
    },
  },
  Stalled: {
    meaning: 'Only an edit can help.',
    good: 'False',
    reasons: {
      InvalidSpec: 'A field of the spec is not valid.',
      IsNotMMSPredictor: 'The parent cannot take it.',
      FrameworkNotSupported: 'The runtime cannot load it.',
      MemoryResourceNotAvailable: 'It is larger than a whole replica.',
      NoRetry: 'The last failure is one that only a change can mend.',
    },
  },
} as const satisfies Readonly<Record<string, ConditionKind>>;

export type TrainedModelCondition = keyof typeof trainedModelConditions;
