import { describe, expect, it } from 'vitest';
import { inferenceServiceProblems } from '../inference-service/schema.ts';
import { servingRuntimeProblems } from '../serving-runtime/schema.ts';
import { trainedModelProblems } from '../trained-model/schema.ts';
import { type Sample, samples } from './samples.ts';

function problemsOf({ kind, name, spec, stored }: Sample): readonly string[] {
  switch (kind) {
    case 'TrainedModel':
      return trainedModelProblems(name, spec, stored);
    case 'InferenceService':
      return inferenceServiceProblems(name, spec);
    case 'ServingRuntime':
      return servingRuntimeProblems(spec);
  }
}

describe('the rules outside the API server', () => {
  it.each(samples.filter(({ field }) => field === undefined))('accept $title', (sample) => {
    expect(problemsOf(sample)).toEqual([]);
  });

  it.each(samples.filter(({ field }) => field !== undefined))('refuse $title', (sample) => {
    expect(problemsOf(sample)).toEqual([expect.stringContaining(`${sample.field}: `)]);
  });
});
