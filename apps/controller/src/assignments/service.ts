import type { ServiceView } from '../inference-service/view.ts';
import type { Model } from './model.ts';
import type { Replica } from './replica.ts';

/** A model's place on the replicas of one service: from its admission until no replica holds it any more. */
export type Holding = {
  model: Model;
  /** `leaving`: routers are being told; `revoked`: replicas have been told. */
  stage: 'held' | 'leaving' | 'revoked';
};

/** A service and all that is known of its models and replicas. It may exist before its InferenceService does. */
export type Service = {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  view: ServiceView | undefined;
  readonly models: Map<string, Model>;
  readonly holdings: Map<string, Holding>;
  readonly replicas: Map<string, Replica>;
  heldBytes: number;
  heldGpuBytes: number;
  readonly waiting: Set<string>;
};
