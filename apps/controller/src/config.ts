import { parseArgs } from 'node:util';
import { type ApiGroup, apiGroups, kserveGroup } from '@roundhouse/crds';
import { z } from 'zod';
import type { Installation } from './cluster.ts';

const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);

/** Every setting with its default; names are those of the flags. */
const schema = z.object({
  host: z.string().min(1).default('0.0.0.0').describe('address that all ports listen on'),
  'control-port': port(9443).describe('port of the control stream'),
  'health-port': port(8081).describe('port of /healthz and /readyz'),
  'metrics-port': port(8080).describe('port of /metrics'),
  'api-port': port(8082).describe('port of the read-only API'),
  domain: z
    .string()
    .min(1)
    .default('example.com')
    .describe('domain of prediction URLs: <service>-<namespace>.<domain>'),
  'file-roots': z.string().default('').describe('directories that file:// artifacts may come from, separated by ":"'),
  'agent-image': z
    .string()
    .min(1)
    .default('roundhouse/agent:0.1.0')
    .describe('image of the agent beside each model server'),
  'exposed-hosts': z
    .string()
    .default('')
    .describe(
      'hosts that lead to the routers already, separated by ",": the Ingress or HTTPRoute of the settings leaves them out',
    ),
  'api-group': z
    .enum(apiGroups)
    .default(kserveGroup)
    .describe('group of the kinds that are served; serving.roundhouse.dev where KServe stays installed'),
  namespaces: z.string().default('').describe('namespaces whose objects are served, separated by ","; empty: all'),
  'log-level': z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('least level of log lines'),
});

export type Config = {
  readonly host: string;
  readonly controlPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly apiPort: number;
  readonly domain: string;
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
  /** Of the kinds that are served; all names follow it. */
  readonly apiGroup: ApiGroup;
  /** Whose objects are served; empty: all. */
  readonly namespaces: readonly string[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Path of a kubeconfig; undefined inside a cluster. */
  readonly kubeconfig: string | undefined;
  /** Who we are among the controllers: the same after a restart of the container, as the Lease wants it. */
  readonly identity: string;
};

export type Parsed =
  | { readonly config: Config; readonly problems: readonly [] }
  | { readonly config: undefined; readonly problems: readonly string[] };

/** Flags and environment, with every problem at once. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>, args: readonly string[]): Parsed {
  const { values, problems } = readFlags(args);
  const parsed = schema.safeParse(values);
  if (!parsed.success || problems.length > 0) {
    const issues = parsed.error?.issues.map(({ path, message }) => `--${path.join('.')}: ${message}`) ?? [];
    return { config: undefined, problems: [...problems, ...issues] };
  }
  const flags = parsed.data;
  const config = {
    host: flags.host,
    controlPort: flags['control-port'],
    healthPort: flags['health-port'],
    metricsPort: flags['metrics-port'],
    apiPort: flags['api-port'],
    domain: flags.domain,
    fileRoots: flags['file-roots'].split(':').filter((root) => root !== ''),
    installation: {
      namespace: env.POD_NAMESPACE ?? 'roundhouse-system',
      agentImage: flags['agent-image'],
      exposedHosts: listed(flags['exposed-hosts']),
    },
    apiGroup: flags['api-group'],
    namespaces: listed(flags.namespaces),
    logLevel: flags['log-level'],
    kubeconfig: env.KUBECONFIG === '' ? undefined : env.KUBECONFIG,
    identity: env.POD_UID ?? `controller-${process.pid}`,
  };
  return { config, problems: [] };
}

const listed = (text: string) => text.split(',').filter((item) => item !== '');

export const help = [
  'roundhouse controller: turns services and models into Deployments, ConfigMaps, assignments and status',
  '',
  ...Object.entries(schema.shape).map(
    ([name, flag]) => `  --${name.padEnd(14)} ${flag.description} (default ${JSON.stringify(flag.parse(undefined))})`,
  ),
  '',
  'With one of these words first it does its work and ends: apply-crds (bring the CRDs to this version), release-models (stop the',
  'controllers and take their finalizer off all models, before Roundhouse is removed).',
  '',
  'The Kubernetes API is found by KUBECONFIG, or by the pod it runs in.',
].join('\n');

function readFlags(args: readonly string[]) {
  const options = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, { type: 'string' as const }]));
  const problems: string[] = [];
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const values: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`${token.value}: takes no such argument`);
    if (token.kind !== 'option') continue;
    if (!(token.name in options)) problems.push(`${token.rawName}: no such flag`);
    else if (token.value === undefined) problems.push(`${token.rawName}: needs a value`);
    else values[token.name] = token.value;
  }
  return { values, problems };
}
