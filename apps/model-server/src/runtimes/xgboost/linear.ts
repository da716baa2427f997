import { corrupt } from '../../model.ts';
import type { Fields } from '../fields.ts';
import { shared } from '../shared-memory.ts';

/** The `gblinear` booster: one weight per feature and output, the biases last. */
export type Linear = {
  readonly weights: Float32Array;
  readonly featureCount: number;
  readonly groupCount: number;
};

export function parseLinear(booster: Fields, featureCount: number, groupCount: number): Linear {
  const weights = Float32Array.from(booster.object('model').numbers('weights'));
  const expected = (featureCount + 1) * groupCount;
  if (weights.length !== expected)
    throw corrupt(`the linear model has ${weights.length} weights instead of ${expected}`);
  return { weights: shared(weights), featureCount, groupCount };
}

/** Bias first, then the features in order; missing values add nothing; rounded to float32 at each step. */
export function addLinear(
  { weights, featureCount, groupCount }: Linear,
  row: Float32Array,
  from: number,
  margins: Float32Array,
  to: number,
) {
  for (let group = 0; group < groupCount; group++) {
    let sum = Math.fround((weights[featureCount * groupCount + group] as number) + (margins[to + group] as number));
    for (let feature = 0; feature < featureCount; feature++) {
      const value = row[from + feature] as number;
      if (!Number.isNaN(value))
        sum = Math.fround(sum + Math.fround(value * (weights[feature * groupCount + group] as number)));
    }
    margins[to + group] = sum;
  }
}
