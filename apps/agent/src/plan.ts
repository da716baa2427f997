import { type Failure, type ModelState, versionOf, type WantedModel } from './model.ts';

/** All that is known of one model. Versions are as `versionOf` gives them. */
export type ModelFacts = {
  /** Undefined: it should not be here. */
  readonly wanted: WantedModel | undefined;
  /** Complete beside the model's directory, waiting to be put in place. */
  readonly ready: string | undefined;
  /** What the model's directory holds. */
  readonly placed: string | undefined;
  /** What the server answers with; `unknownVersion` when we did not load it. */
  readonly loaded: string | undefined;
  readonly activity: Activity | undefined;
  /** An older version in place that this server did not take: not tried again before it restarts. */
  readonly givenUp: string | undefined;
  /** The last one, while it stands. */
  readonly failure: Failure | undefined;
};

export const unknownVersion = 'unknown';

/** What is being done to the model now. `waiting`: it queues for its turn. */
export type Activity = {
  readonly kind: 'download' | 'load' | 'unload' | 'remove';
  /** Of the model that it is done for; undefined for those that take away. */
  readonly digest: string | undefined;
  readonly phase: 'waiting' | 'draining' | 'running';
};

export type World = {
  readonly nowMs: number;
  readonly serverUp: boolean;
  /** False until somebody said what this replica should hold: nothing is taken away before. */
  readonly told: boolean;
};

export type Step =
  | { readonly kind: 'rest' }
  /** Nothing before this moment. */
  | { readonly kind: 'wait'; readonly untilMs: number }
  /** The download under way is not wanted any more. */
  | { readonly kind: 'cancel' }
  | { readonly kind: 'download'; readonly model: WantedModel }
  /** Puts the waiting version in place first when `from` is `ready`. */
  | { readonly kind: 'load'; readonly version: string; readonly from: 'ready' | 'placed' }
  /** What waits beside is not needed any more. */
  | { readonly kind: 'discard' }
  | { readonly kind: 'unload' }
  | { readonly kind: 'remove' }
  /** It was taken away completely: drop it from the table. */
  | { readonly kind: 'forget' };

const rest: Step = { kind: 'rest' };

/** The next step of one model towards what is wanted. Steps of different models do not depend on each other. */
export function planModel(facts: ModelFacts, world: World): Step {
  const { wanted, activity } = facts;
  if (activity !== undefined) return planDuring(activity, wanted);
  if (wanted !== undefined) return planWanted(facts, wanted, world);
  if (!world.told) return planAsPlaced(facts, world) ?? rest; // what was here goes on serving
  if (facts.loaded !== undefined) return { kind: 'unload' };
  if (facts.placed !== undefined || facts.ready !== undefined) return { kind: 'remove' };
  // A server that is away may bring the model back when it starts (some load all they find): ask it before forgetting.
  return world.serverUp ? { kind: 'forget' } : rest;
}

function planDuring(activity: Activity, wanted: WantedModel | undefined): Step {
  return activity.kind === 'download' && activity.digest !== wanted?.digest ? { kind: 'cancel' } : rest;
}

function planWanted(facts: ModelFacts, wanted: WantedModel, world: World): Step {
  const version = versionOf(wanted);
  if (facts.loaded === version) return facts.ready === undefined ? rest : { kind: 'discard' };
  const { failure } = facts;
  const retryAtMs = failure?.digest === wanted.digest ? failure.retryAtMs : Number.NEGATIVE_INFINITY;
  const here = facts.ready === version ? 'ready' : facts.placed === version ? 'placed' : undefined;
  const canLoad = world.serverUp && here !== undefined && retryAtMs <= world.nowMs;
  if (canLoad) return { kind: 'load', version, from: here };
  // A restarted server gets the older version back first: it answers while the new one is fetched or fails.
  const older = facts.placed === version ? undefined : planAsPlaced(facts, world);
  if (older !== undefined) return older;
  if (retryAtMs > world.nowMs) return { kind: 'wait', untilMs: retryAtMs };
  return here === undefined ? { kind: 'download', model: wanted } : rest; // waits for the server
}

/** What is in place answers when nothing else does. */
function planAsPlaced({ placed, loaded, givenUp }: ModelFacts, { serverUp }: World): Step | undefined {
  const can = serverUp && loaded === undefined && placed !== undefined && placed !== givenUp;
  return can ? { kind: 'load', version: placed, from: 'placed' } : undefined;
}

/** The state that reports and people see: that of the wanted version. */
export function stateOf({ wanted, ready, placed, loaded, activity, failure }: ModelFacts): ModelState {
  if (activity?.kind === 'unload') return activity.phase === 'draining' ? 'draining' : 'unloading';
  if (activity?.kind === 'remove' || wanted === undefined) return loaded === undefined ? 'unloading' : 'draining';
  const version = versionOf(wanted);
  if (loaded === version) return 'loaded';
  if (activity?.phase === 'running' && activity.digest === wanted.digest) {
    return activity.kind === 'download' ? 'downloading' : 'loading';
  }
  if (failure !== undefined) return failure.stage === 'download' ? 'download-failed' : 'load-failed';
  return ready === version || placed === version ? 'downloaded' : 'pending';
}
