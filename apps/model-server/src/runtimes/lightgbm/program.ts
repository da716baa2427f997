import type { Forest } from './forest.ts';
import type { Objective } from './objective.ts';

export type LightgbmProgram = {
  readonly library: 'lightgbm';
  readonly featureCount: number;
  readonly outputCount: number;
  /** Random forests average their rounds. */
  readonly divisor: number;
  readonly objective: Objective;
  readonly forest: Forest;
};
