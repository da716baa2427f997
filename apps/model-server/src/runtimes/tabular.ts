import type { Program } from './program.ts';

/** Outputs of one row: far more classes than anybody trains trees for; bounds what a file can make us allocate. */
export const outputsMax = 10_000;

/** What a file of trees (or weights) holds. */
export type Tabular = {
  readonly featureCount: number;
  /** Names of the columns, where the file has them. */
  readonly features: readonly string[] | undefined;
  /** Values per row; with one, the answer has the shape [rows]. */
  readonly outputCount: number;
  readonly datatype: 'FP32' | 'FP64';
  readonly program: Program;
};
