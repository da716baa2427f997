import { z } from 'zod';
import { intOrString, opaqueList, opaqueObject } from '../opaque.ts';
import { brokenBy, issuesOf, type Rule } from '../rule.ts';

/** The container of a runtime that serves models. */
export const serverContainerName = 'kserve-container';

type Containers = readonly { readonly name: string }[];

const containerRule: Rule<Containers> = {
  path: 'spec.containers',
  cel: {
    rule: `self.exists(container, container.name == '${serverContainerName}')`,
    message: `needs a container named ${serverContainerName}`,
  },
  holds: (containers) => containers.some(({ name }) => name === serverContainerName),
};

const modelFormat = z.object({
  name: z.string().describe('Name of the format, such as onnx.'),
  version: z.string().optional(),
  autoSelect: z.boolean().optional().describe('Whether services that name only the format may get this runtime.'),
  priority: z.int().min(1).meta({ format: 'int32' }).optional().describe('Of several runtimes, the higher is chosen.'),
});

const container = z
  .looseObject({
    name: z.string(),
    image: z.string().optional(),
    args: z.array(z.string()).optional(),
    command: z.array(z.string()).optional(),
    env: opaqueList().optional(),
    resources: z
      .looseObject({
        limits: z.record(z.string(), intOrString()).optional(),
        requests: z.record(z.string(), intOrString()).optional(),
      })
      .optional(),
  })
  .meta({ 'x-kubernetes-preserve-unknown-fields': true });

// Bounds let the API server estimate the cost of the rules.
const containersMax = 32;

export const servingRuntimeSpec = z
  .looseObject({
    containers: z
      .array(container)
      .max(containersMax)
      .meta({ 'x-kubernetes-validations': [containerRule.cel] })
      .describe(`Containers of the pod; ${serverContainerName} serves the models.`),
    supportedModelFormats: z.array(modelFormat).optional().describe('What the server can load.'),
    protocolVersions: z.array(z.string()).optional().describe('Protocols that it speaks: v1, v2, grpc-v1, grpc-v2.'),
    multiModel: z.boolean().optional().describe('Whether it is meant for many models.'),
    disabled: z.boolean().optional().describe('Chosen for no service.'),
    labels: z.record(z.string(), z.string()).optional().describe('Added to the pods.'),
    annotations: z.record(z.string(), z.string()).optional().describe('Added to the pods.'),
    volumes: opaqueList().optional(),
    nodeSelector: z.record(z.string(), z.string()).optional(),
    affinity: opaqueObject().optional(),
    tolerations: opaqueList().optional(),
    imagePullSecrets: opaqueList().optional(),
  })
  .meta({ 'x-kubernetes-preserve-unknown-fields': true });

export const servingRuntimeSchema = z.object({ spec: servingRuntimeSpec, status: opaqueObject().optional() });

export type ServingRuntimeSpec = z.infer<typeof servingRuntimeSpec>;
export type RuntimeContainer = z.infer<typeof container>;

/** What is wrong with a stored runtime; empty when nothing is. */
export function servingRuntimeProblems(spec: unknown): readonly string[] {
  const parsed = servingRuntimeSpec.safeParse(spec);
  return parsed.success ? brokenBy(containerRule, parsed.data.containers) : issuesOf(parsed.error);
}
