import { z } from 'zod';
import { conditionSchema } from '../condition.ts';
import { intOrString } from '../opaque.ts';
import { parseQuantity, quantityPattern } from '../quantity.ts';
import { brokenBy, issuesOf, ofObject, type Rule } from '../rule.ts';

const modelName = /^[a-zA-Z0-9_-]+$/;
const storageUri = /^(s3|gs|https|http|file):\/\/.+/;
// The mantissa has a digit other than 0, and there is no minus sign.
const positive = /^[+]?[0.]*[1-9]/;

const nameRule: Rule<string> = {
  path: 'metadata.name',
  cel: {
    rule: `self.metadata.name.matches('${modelName.source}')`,
    message: 'must consist of letters, digits, "-" and "_": it is a segment of the request path',
  },
  holds: (name) => modelName.test(name),
};

const storageUriRule: Rule<string> = {
  path: 'spec.model.storageUri',
  cel: {
    rule: "self.matches('^(s3|gs|https|http|file)://.+')",
    message: 'must start with s3://, gs://, https://, http:// or file://',
  },
  holds: (uri) => storageUri.test(uri),
};

const memoryPositiveRule: Rule<string | number> = {
  path: 'spec.model.memory',
  cel: { rule: `string(self).matches('${positive.source}')`, message: 'must be more than 0, such as 256Mi' },
  holds: (memory) => parseQuantity(memory) !== undefined && positive.test(String(memory)),
};

const memoryImmutableRule: Rule<string | number> = {
  path: 'spec.model.memory',
  cel: {
    rule: 'quantity(string(self)).compareTo(quantity(string(oldSelf))) == 0',
    message: 'cannot be changed: delete the model and apply it again',
    reason: 'FieldValueForbidden',
  },
  holds: (memory, old) => old === undefined || parseQuantity(memory)?.nanos === parseQuantity(old)?.nanos,
};

/** What a user asks of one model. */
export const trainedModelSpec = z.object({
  inferenceService: z
    .string()
    .describe('Name of the InferenceService in the same namespace whose servers hold the model.'),
  model: z
    .object({
      storageUri: z
        .string()
        .describe('Where the artifact is: s3://, gs://, https://, http:// or file://, a file, an archive or a folder.')
        .meta({ 'x-kubernetes-validations': [storageUriRule.cel] }),
      framework: z
        .string()
        .describe('What the model was made with, such as onnx or xgboost; the runtime must support it.'),
      memory: intOrString(quantityPattern)
        .describe('Memory that the model takes on each replica that holds it, such as 256Mi. Cannot be changed.')
        .meta({ 'x-kubernetes-validations': [memoryPositiveRule.cel, memoryImmutableRule.cel] }),
    })
    .describe('The model.'),
});

const copiesSchema = z.object({
  desired: z.int().describe('Replicas that are to hold the model.'),
  loaded: z.int().describe('Replicas that answer for it.'),
  failed: z.int().describe('Replicas whose last attempt failed.'),
  summary: z.string().describe('loaded/desired, for the column.'),
});

const lastFailureSchema = z.object({
  reason: z.string().describe('Why, in one word.'),
  message: z.string().describe('Why, for people.'),
  pod: z.string().describe('The replica that it happened on.'),
  time: z.string().describe('When.'),
  attempt: z.int().describe('How many attempts failed so far.'),
  nextRetry: z.string().optional().describe('When it is tried again; absent when only a change helps.'),
});

/** What is known about one model. */
export const trainedModelStatus = z.object({
  url: z.string().optional().describe('Where clients outside send predictions.'),
  address: z
    .object({
      url: z.string().optional().describe('Where clients in the cluster send predictions.'),
      name: z.string().optional(),
      CACerts: z.string().optional(),
      audience: z.string().optional(),
    })
    .optional(),
  conditions: z.array(conditionSchema).optional().describe('What holds and what does not.'),
  copies: copiesSchema.optional().describe('How many replicas hold the model.'),
  lastFailure: lastFailureSchema.optional().describe('The failure that stands on some replica.'),
  observedGeneration: z.int().optional().describe('The generation that this status speaks of.'),
  annotations: z.record(z.string(), z.string()).optional(),
});

export const trainedModelSchema = z
  .object({
    spec: trainedModelSpec,
    status: trainedModelStatus.optional(),
  })
  .meta({ 'x-kubernetes-validations': [ofObject(nameRule)] });

export type TrainedModelSpec = z.infer<typeof trainedModelSpec>;
export type TrainedModelStatus = z.infer<typeof trainedModelStatus>;

/** What is wrong with a model, in the words of the CRD's rules; empty when nothing is. `old` is the stored spec on an update. */
export function trainedModelProblems(name: string, spec: unknown, old?: unknown): readonly string[] {
  const parsed = trainedModelSpec.safeParse(spec);
  if (!parsed.success) return issuesOf(parsed.error);
  const { storageUri: uri, memory } = parsed.data.model;
  const oldMemory = trainedModelSpec.safeParse(old).data?.model.memory;
  return [
    ...brokenBy(nameRule, name),
    ...brokenBy(storageUriRule, uri),
    ...brokenBy(memoryPositiveRule, memory),
    ...brokenBy(memoryImmutableRule, memory, oldMemory),
  ];
}
