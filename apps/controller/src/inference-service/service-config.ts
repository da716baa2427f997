import { messageOf } from '@roundhouse/base';
import { parseQuantity } from '@roundhouse/crds';
import { z } from 'zod';
import { fillTemplate } from './template.ts';

const quantity = z.string().refine((text) => text === '' || parseQuantity(text) !== undefined, 'is not a quantity');
const text = z.string().optional();
const flag = z.boolean().optional();
/** KServe writes some flags as texts. */
const loose = z.union([z.boolean(), z.enum(['true', 'false', ''])]).optional();
const resources = z.looseObject({
  cpuRequest: quantity.optional(),
  cpuLimit: quantity.optional(),
  memoryRequest: quantity.optional(),
  memoryLimit: quantity.optional(),
});

const sample = {
  fields: { Name: 'name', Namespace: 'namespace', IngressDomain: 'example.com' },
  labels: {},
  annotations: {},
};
const template = z
  .string()
  .refine((value) => !/\{\{|\}\}/.test(fillTemplate(value, sample)), 'has an expression that is not understood')
  .optional();

/** KServe's settings of one framework up to 0.9; those of a protocol stood under its name. */
const predictorSettings = z.looseObject({
  multiModelServer: flag,
  v1: z.looseObject({ multiModelServer: flag }).optional(),
  v2: z.looseObject({ multiModelServer: flag }).optional(),
});

/** The keys that mean something here, with their fields; others are for parts of KServe that we do not have. */
const sections = {
  predictors: z.record(z.string(), predictorSettings),
  agent: resources.extend({ image: text }),
  ingress: z.looseObject({
    enableGatewayApi: flag,
    kserveIngressGateway: z
      .string()
      .regex(/^[^/]+\/[^/]+$/, 'must be namespace/name')
      .optional(),
    ingressDomain: text,
    additionalIngressDomains: z.array(z.string()).optional(),
    ingressClassName: text,
    domainTemplate: template,
    urlScheme: z.enum(['http', 'https', '']).optional(),
    disableIngressCreation: flag,
    disableHTTPRouteTimeout: flag,
    pathTemplate: template,
  }),
  deploy: z.looseObject({
    deploymentRolloutStrategy: z
      .looseObject({
        defaultRollout: z.looseObject({
          maxSurge: z.union([z.string(), z.int()]).optional(),
          maxUnavailable: z.union([z.string(), z.int()]).optional(),
        }),
      })
      .optional(),
  }),
  inferenceService: z.looseObject({
    resource: resources.optional(),
    serviceAnnotationDisallowedList: z.array(z.string()).optional(),
    serviceLabelDisallowedList: z.array(z.string()).optional(),
  }),
  credentials: z.looseObject({
    storageSecretNameAnnotation: text,
    s3: z.record(z.string(), z.string()).optional(),
  }),
  service: z.looseObject({ serviceClusterIPNone: flag }),
  security: z.looseObject({ autoMountServiceAccountToken: flag }),
  metricsAggregator: z.looseObject({ enablePrometheusScraping: loose }),
  autoscaler: z.looseObject({
    scaleUpStabilizationWindowSeconds: z.string().regex(/^\d*$/, 'must be a number').optional(),
    scaleDownStabilizationWindowSeconds: z.string().regex(/^\d*$/, 'must be a number').optional(),
  }),
} as const;

type Section = keyof typeof sections;

/** Settings for all services; a key that is absent is an empty one. */
export type ServiceConfig = { readonly [Key in Section]: z.infer<(typeof sections)[Key]> } & {
  /** Whether the ConfigMap has the key `ingress`: only then objects are made for it. */
  readonly exposes: boolean;
};

/** Whether the settings say of a framework's servers that they load models while they run. */
export function isMultiModelServer({ predictors }: ServiceConfig, framework: string): boolean {
  const { multiModelServer, v1, v2 } = predictors[framework] ?? {};
  return [multiModelServer, v1?.multiModelServer, v2?.multiModelServer].includes(true);
}

export type ParsedConfig = {
  readonly config: ServiceConfig;
  /** Keys that cannot be used, each with the reason. */
  readonly problems: readonly string[];
};

/** Reads the ConfigMap's data. A key that is broken counts as absent, and is told of. */
export function parseServiceConfig(data: Readonly<Record<string, string>> | undefined): ParsedConfig {
  const problems: string[] = [];
  const read = (key: Section) => {
    const given = data?.[key];
    if (given === undefined || given.trim() === '') return {};
    const { value, problem } = parseSection(sections[key], given);
    if (problem !== undefined) problems.push(`${key}: ${problem}`);
    return value ?? {};
  };
  const entries = (Object.keys(sections) as Section[]).map((key) => [key, read(key)] as const);
  const config = { ...Object.fromEntries(entries), exposes: data?.ingress !== undefined } as ServiceConfig;
  return { config, problems };
}

function parseSection(schema: z.ZodType, given: string): { readonly value?: unknown; readonly problem?: string } {
  try {
    const parsed = schema.safeParse(JSON.parse(given));
    if (parsed.success) return { value: parsed.data };
    return {
      problem: parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join(', '),
    };
  } catch (error) {
    return { problem: `not JSON: ${messageOf(error)}` };
  }
}
