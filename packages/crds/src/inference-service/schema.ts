import { z } from 'zod';
import { conditionSchema } from '../condition.ts';
import { intOrString, opaqueList, opaqueObject } from '../opaque.ts';
import { brokenBy, issuesOf, ofObject, type Rule } from '../rule.ts';

/** The predictor keys of KServe that name a framework. `model` with a `modelFormat` says the same. */
export const frameworkKeys = [
  'sklearn',
  'xgboost',
  'tensorflow',
  'pytorch',
  'triton',
  'onnx',
  'huggingface',
  'pmml',
  'lightgbm',
  'paddle',
] as const;

// `<name>-predictor` names a Service and must be a DNS label.
const nameLengthMax = 63 - '-predictor'.length;
const serviceName = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

const nameRule: Rule<string> = {
  path: 'metadata.name',
  cel: {
    rule: `self.metadata.name.matches('${serviceName.source}') && size(self.metadata.name) <= ${nameLengthMax}`,
    message: `must be lower-case letters, digits and "-", starting with a letter, and at most ${nameLengthMax} long`,
  },
  holds: (name) => serviceName.test(name) && name.length <= nameLengthMax,
};

const implementations = ['model', ...frameworkKeys] as const;

const given = `[${implementations.map((key) => `has(self.${key})`).join(', ')}]`;

const oneImplementationRule: Rule<object> = {
  path: 'spec.predictor',
  cel: {
    rule: `${given}.filter(x, x).size() <= 1 && (${given}.exists(x, x) || has(self.containers))`,
    message: `needs exactly one of model, ${frameworkKeys.join(', ')}, or containers`,
  },
  holds: (predictor) => {
    const given = implementations.filter((key) => key in predictor).length;
    return given === 1 || (given === 0 && 'containers' in predictor);
  },
};

type Replicas = { readonly minReplicas?: number | undefined; readonly maxReplicas?: number | undefined };

const replicasRule: Rule<Replicas> = {
  path: 'spec.predictor',
  cel: {
    rule: '!has(self.minReplicas) || !has(self.maxReplicas) || self.maxReplicas == 0 || self.minReplicas <= self.maxReplicas',
    message: 'minReplicas must not be more than maxReplicas',
  },
  holds: ({ minReplicas, maxReplicas }) =>
    minReplicas === undefined || maxReplicas === undefined || maxReplicas === 0 || minReplicas <= maxReplicas,
};

const protocolVersion = z.enum(['v1', 'v2', 'grpc-v1', 'grpc-v2']);

/** What the framework keys and `model` share: fields of KServe's, and all of a container's. */
const implementation = z
  .looseObject({
    storageUri: z
      .string()
      .optional()
      .describe('Where the one model of this service is. Absent: many TrainedModels share it.'),
    runtimeVersion: z.string().optional().describe("Replaces the tag of the runtime's image."),
    protocolVersion: protocolVersion.optional().describe('Protocol of prediction URLs.'),
    storage: opaqueObject().optional(),
    image: z.string().optional().describe("Replaces the runtime's image."),
    args: z.array(z.string()).optional().describe("Follow the runtime's arguments."),
    env: opaqueList().optional().describe("Merged with the runtime's by name."),
    resources: z
      .looseObject({
        limits: z.record(z.string(), intOrString()).optional(),
        requests: z.record(z.string(), intOrString()).optional(),
      })
      .optional()
      .describe("Replace the runtime's. The memory limit decides how many models fit."),
  })
  .meta({ 'x-kubernetes-preserve-unknown-fields': true });

const modelImplementation = implementation.extend({
  modelFormat: z
    .object({ name: z.string(), version: z.string().optional() })
    .describe('What the runtime must support.'),
  runtime: z
    .string()
    .optional()
    .describe('Name of a ServingRuntime or ClusterServingRuntime; chosen by format when absent.'),
});

const frameworks = Object.fromEntries(frameworkKeys.map((key) => [key, implementation.optional()])) as Record<
  (typeof frameworkKeys)[number],
  z.ZodOptional<typeof implementation>
>;

const count = () => z.int().min(0).meta({ format: 'int32' });

/** The predictor: one implementation, fields of a Pod, and how many. */
export const predictorSchema = z
  .looseObject({
    model: modelImplementation.optional().describe('The model server, chosen by format or by runtime.'),
    ...frameworks,
    containers: opaqueList().optional().describe('A container of your own, or sidecars.'),
    minReplicas: count().optional().describe('Replicas; 1 when absent.'),
    maxReplicas: count().optional().describe('Upper bound for autoscaling; 0 is none.'),
    serviceAccountName: z.string().optional().describe('Account of the pods; its Secrets are the credentials.'),
    labels: z.record(z.string(), z.string()).optional().describe('Added to all objects of the predictor.'),
    annotations: z.record(z.string(), z.string()).optional().describe('Added to all objects of the predictor.'),
  })
  .meta({
    'x-kubernetes-preserve-unknown-fields': true,
    'x-kubernetes-validations': [oneImplementationRule.cel, replicasRule.cel],
  });

export const inferenceServiceSpec = z
  .looseObject({ predictor: predictorSchema.describe('The shared model servers.') })
  .meta({ 'x-kubernetes-preserve-unknown-fields': true });

export const inferenceServiceStatus = z
  .looseObject({
    url: z.string().optional().describe('Base URL for clients outside.'),
    address: z.looseObject({ url: z.string().optional().describe('Base URL in the cluster.') }).optional(),
    conditions: z.array(conditionSchema).optional().describe('What holds and what does not.'),
    components: z.record(z.string(), opaqueObject()).optional().describe("The predictor's own URL."),
    modelStatus: opaqueObject().optional().describe("KServe's summary: state, copies, last failure."),
    deploymentMode: z.string().optional().describe('Always Standard.'),
    servingRuntimeName: z.string().optional().describe('The ServingRuntime in use.'),
    clusterServingRuntimeName: z.string().optional().describe('The ClusterServingRuntime in use.'),
    observedGeneration: z.int().optional().describe('The generation that this status speaks of.'),
  })
  .meta({ 'x-kubernetes-preserve-unknown-fields': true });

export const inferenceServiceSchema = z
  .object({ spec: inferenceServiceSpec, status: inferenceServiceStatus.optional() })
  .meta({ 'x-kubernetes-validations': [ofObject(nameRule)] });

export type Implementation = z.infer<typeof implementation>;
export type Predictor = z.infer<typeof predictorSchema>;
export type InferenceServiceSpec = z.infer<typeof inferenceServiceSpec>;
export type InferenceServiceStatus = z.infer<typeof inferenceServiceStatus>;

/** What is wrong with a stored service, in the words of the CRD's rules; empty when nothing is. */
export function inferenceServiceProblems(name: string, spec: unknown): readonly string[] {
  const parsed = inferenceServiceSpec.safeParse(spec);
  if (!parsed.success) return issuesOf(parsed.error);
  const { predictor } = parsed.data;
  return [
    ...brokenBy(nameRule, name),
    ...brokenBy(oneImplementationRule, predictor),
    ...brokenBy(replicasRule, predictor),
  ];
}
