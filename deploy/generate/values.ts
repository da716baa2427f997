import { z } from 'zod';

/** The chart's values: one source of their defaults, their schema and their documentation. */

const quantity = z.union([z.string().regex(/^\d+(\.\d+)?([eE][+-]?\d+|[numkMGTPE]i?)?$/), z.number().positive()]);
const textMap = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());
const namespaceName = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);

const resources = (cpu: string, memory: string, limits = { cpu: '2', memory: '1Gi' }) =>
  z
    .strictObject({ requests: z.record(z.string(), quantity), limits: z.record(z.string(), quantity) })
    .default({ requests: { cpu, memory }, limits })
    .describe('requests and limits of each pod');

/** What both Deployments offer. */
const workload = (cpu: string, memory: string) => ({
  replicas: z.int().min(0).default(2).describe('two or more survive the loss of a node'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('least level of log lines'),
  resources: resources(cpu, memory),
  podAnnotations: textMap.default({}).describe('more annotations of its pods'),
  podLabels: textMap.default({}).describe('more labels of its pods'),
  nodeSelector: textMap.default({}).describe('labels of the nodes it may run on'),
  tolerations: z.array(anything).default([]).describe('taints it tolerates'),
  affinity: anything.default({}).describe('affinity of its pods'),
  args: z
    .array(z.string().regex(/^--[a-z-]+(=.*)?$/))
    .default([])
    .describe('more flags; --help of its image lists them'),
});

const image = z.strictObject({
  registry: z
    .string()
    .regex(/^(\S*[^/\s])?$/)
    .default('')
    .describe('registry and path in front of controller, router, agent and model-server; empty: roundhouse'),
  tag: z
    .string()
    .regex(/^[\w.-]*$/)
    .default('')
    .describe("tag of all images; empty: the chart's version"),
  pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']).default('IfNotPresent').describe('when to pull'),
  pullSecrets: z
    .array(z.string().min(1))
    .default([])
    .describe('names of Secrets of the release’s namespace to pull with'),
});

const controller = z.strictObject({
  ...workload('100m', '192Mi'),
  domain: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .default('example.com')
    .describe('hosts of services are <service>-<namespace>.<domain>, beside KServe rh-<service>-<namespace>.<domain>'),
  fileRoots: z
    .array(z.string().regex(/^\/[^:]*$/))
    .default([])
    .describe('directories of model server pods that file:// artifacts may come from'),
});

const router = z.strictObject({
  ...workload('100m', '96Mi'),
  service: z
    .strictObject({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP').describe('type of its Service'),
      port: z.int().min(1).max(65_535).default(80).describe('port of its Service, for HTTP/1.1 and gRPC alike'),
      nodePort: z.int().min(0).max(65_535).default(0).describe('port of every node, for type NodePort; 0: any'),
      annotations: textMap.default({}).describe('annotations of its Service, for load balancers'),
    })
    .prefault({})
    .describe('how clients reach the routers'),
  tlsSecret: z
    .string()
    .default('')
    .describe('Secret of type kubernetes.io/tls: port 443 takes TLS with it; empty: none'),
  authSecret: z
    .string()
    .default('')
    .describe('Secret with api-keys and issuers.json, for services that ask for credentials; empty: none'),
  leaveSeconds: z
    .int()
    .min(0)
    .default(5)
    .describe('a router that stops still takes connections for this long: others learn late that it goes'),
  drainSeconds: z.int().min(1).default(60).describe('requests and streams in flight may take this long to end'),
});

export const values = z.strictObject({
  image: image.prefault({}).describe('where images come from'),
  namespaces: z
    .array(namespaceName)
    .default([])
    .describe('namespaces whose objects are served, with no more than Roles in them; empty: all of the cluster'),
  beside: z
    .strictObject({
      kserve: z
        .boolean()
        .default(false)
        .describe(
          'KServe stays installed: the kinds are those of serving.roundhouse.dev, with labels, names and hosts of their own; chosen once, when installing',
        ),
      global: anything.optional(), // Helm hands it to the chart that brings the CRDs
    })
    .prefault({})
    .describe('what else serves models on the cluster'),
  controller: controller.prefault({}).describe('the controller; one of its replicas leads'),
  router: router.prefault({}).describe('the router; all of its replicas serve'),
  runtimes: z.boolean().default(true).describe('install the ClusterServingRuntimes of Roundhouse'),
  modelServer: z
    .strictObject({ resources: resources('1', '2Gi', { cpu: '1', memory: '2Gi' }) })
    .prefault({})
    .describe('the runtime roundhouse-model-server; services may ask for other resources'),
  crds: z
    .strictObject({
      upgrade: z.boolean().default(true).describe('a Job brings the CRDs up to date before each upgrade'),
    })
    .prefault({})
    .describe('the CRDs: helm installs them once, and removing the chart leaves them and all objects'),
  priorityClass: z
    .strictObject({
      create: z.boolean().default(true).describe('make one'),
      name: z.string().default('roundhouse').describe('of the PriorityClass of controllers and routers; empty: none'),
      value: z.int().max(1_000_000_000).default(1_000_000).describe('its value; model servers have the default, 0'),
    })
    .prefault({})
    .describe('model servers give way to controllers and routers'),
  aggregatedRoles: z.boolean().default(true).describe('add the kinds to the roles view, edit and admin'),
  networkPolicies: z
    .strictObject({
      enabled: z.boolean().default(true).describe('make them'),
      clients: z
        .array(anything)
        .default([])
        .describe('NetworkPolicy peers that may send requests to the routers; empty: all'),
      metrics: z
        .array(anything)
        .default([])
        .describe('NetworkPolicy peers that may read metrics; empty: all pods of the cluster'),
    })
    .prefault({})
    .describe('who may talk to controllers and routers'),
  serviceMonitor: z
    .strictObject({
      enabled: z.boolean().default(false).describe('make ServiceMonitors (needs the Prometheus operator)'),
      interval: z
        .string()
        .regex(/^\d+(ms|s|m)$/)
        .default('30s')
        .describe('time between two readings'),
      labels: textMap.default({}).describe('labels by which your Prometheus finds them'),
    })
    .prefault({})
    .describe('metrics for the Prometheus operator'),
  ingress: z
    .strictObject({
      enabled: z.boolean().default(false).describe('make one Ingress for *.<domain>; not with gateway.enabled'),
      className: z.string().default('').describe('its IngressClass; empty: the default of the cluster'),
      annotations: textMap.default({}).describe('its annotations'),
      tlsSecret: z.string().default('').describe('Secret with the certificate of *.<domain>; empty: no TLS'),
    })
    .prefault({})
    .describe('one wildcard Ingress to the routers'),
  gateway: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe('make one HTTPRoute for *.<domain> (needs the Gateway API); not with ingress.enabled'),
      parentRefs: z.array(anything).default([]).describe('Gateways that it attaches to'),
    })
    .prefault({})
    .describe('one wildcard HTTPRoute to the routers'),
  global: z.record(z.string(), z.unknown()).default({}).describe('what Helm hands to subcharts; not used'),
});

type Node = {
  readonly description?: string | undefined;
  readonly shape?: Readonly<Record<string, Node>>;
  readonly unwrap?: () => Node;
};

export type ValueRow = { readonly path: string; readonly fallback: unknown; readonly description: string };

/** Every value, parents first, with its default (undefined for a group of values). */
export function valueRows(): readonly ValueRow[] {
  return rowsOf(values as unknown as Node, values.parse({}), '');
}

function rowsOf(node: Node, fallback: unknown, prefix: string): ValueRow[] {
  const told = Object.entries(shapeOf(node) ?? {}).filter(([, { description }]) => description !== undefined);
  return told.flatMap(([name, child]) => {
    const path = `${prefix}${name}`;
    const own = (fallback as Record<string, unknown>)[name];
    const isGroup = shapeOf(child) !== undefined && child.description !== 'requests and limits of each pod';
    const row = { path, fallback: isGroup ? undefined : own, description: child.description as string };
    return isGroup ? [row, ...rowsOf(child, own, `${path}.`)] : [row];
  });
}

function shapeOf(node: Node): Node['shape'] {
  return node.shape ?? (node.unwrap === undefined ? undefined : shapeOf(node.unwrap()));
}

/** The schema by which Helm checks values: a wrong one is refused by its name. */
export function valuesSchema(): object {
  return z.toJSONSchema(values, { target: 'draft-7', io: 'input' });
}
