import type { Linear } from './linear.ts';
import type { ObjectiveName } from './objective.ts';
import type { Forest } from './trees.ts';

export type XgboostProgram = {
  readonly library: 'xgboost';
  readonly featureCount: number;
  /** What the margins of each row start with, one per output. */
  readonly base: Float32Array;
  readonly objective: ObjectiveName;
  readonly booster:
    | { readonly kind: 'trees'; readonly forest: Forest }
    | { readonly kind: 'linear'; readonly linear: Linear };
};
