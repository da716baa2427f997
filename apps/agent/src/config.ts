import { dialectNames } from '@roundhouse/dialects';
import { z } from 'zod/mini';

/** Of all parts. */
export const version = '0.1.0';

const port = z.coerce.number().check(z.int(), z.minimum(0), z.maximum(65535));
const flag = z.stringbool();
const colonList = z.pipe(
  z.string(),
  z.transform((text) => text.split(':').filter((part) => part !== '')),
);

type Setting = { readonly schema: z.ZodMiniType; readonly help: string; readonly fallback?: string };

/** KServe's flags with its defaults, then ours. */
const flags = {
  port: { schema: port, fallback: '9081', help: 'port of the data path' },
  'component-port': { schema: port, fallback: '8080', help: 'port of the model server on 127.0.0.1' },
  'component-grpc-port': { schema: port, fallback: '9000', help: 'port of the model server for gRPC, on 127.0.0.1' },
  'enable-puller': { schema: flag, fallback: 'false', help: 'keep models; without it requests are only relayed' },
  'config-dir': { schema: z.string(), fallback: '/mnt/configs', help: 'where the model ConfigMaps are mounted' },
  'model-dir': { schema: z.string(), fallback: '/mnt/models', help: 'directory shared with the model server' },
  'state-dir': {
    schema: z.string(),
    fallback: '',
    help: "the agent's own files, in the same file system; .roundhouse in the model directory if not given",
  },
  'ops-port': { schema: port, fallback: '9082', help: 'port of health, metrics, models and drain' },
  'component-socket': {
    schema: z.string(),
    fallback: '',
    help: 'unix socket of the model server, instead of its port',
  },
  control: { schema: flag, fallback: 'true', help: '--no-control: take models from the mounted ConfigMaps only' },
  host: { schema: z.string(), help: 'address to listen on; by default all, or loopback when POD_IP is' },
} as const satisfies Record<string, Setting>;

/** KServe's flags for what this agent does not do: they are read, and said to have no effect. */
const withoutEffect = [
  ...['enable-batcher', 'max-batchsize', 'max-latency', 'log-url', 'workers', 'source-uri', 'log-mode'],
  ...['inference-service', 'namespace', 'endpoint', 'component', 'metadata-headers', 'metadata-annotations'],
  ...['log-store-path', 'log-store-format', 'log-marshaller-url', 'log-marshaller-port', 'log-batch-size'],
  ...['log-batch-interval', 'logger-ca-cert-file', 'logger-tls-skip-verify', 'probe-period'],
];

const variables = {
  POD_NAME: { schema: z.string(), fallback: 'local', help: "this pod's name" },
  POD_NAMESPACE: { schema: z.string(), fallback: 'default', help: "this pod's namespace" },
  POD_UID: { schema: z.string(), fallback: 'local', help: "this pod's uid" },
  POD_IP: { schema: z.string(), fallback: '127.0.0.1', help: 'where routers reach this pod' },
  INFERENCE_SERVICE_NAME: { schema: z.string(), fallback: '', help: 'the InferenceService; needed for control' },
  ROUNDHOUSE_CONTROL_ADDRESS: {
    schema: z.string(),
    fallback: '',
    help: 'host:port of the control stream; empty: none',
  },
  ROUNDHOUSE_CONTROL_SERVER_NAME: { schema: z.string(), fallback: '', help: 'TLS name to expect, if not the host' },
  ROUNDHOUSE_CA_FILE: {
    schema: z.string(),
    fallback: '/var/run/roundhouse/ca/ca.crt',
    help: 'certificates to trust for control',
  },
  ROUNDHOUSE_TOKEN_FILE: {
    schema: z.string(),
    fallback: '/var/run/secrets/roundhouse/token',
    help: 'ServiceAccount token for control',
  },
  ROUNDHOUSE_DIALECT: {
    schema: z.enum(['auto', ...dialectNames]),
    fallback: 'auto',
    help: `kind of model server: ${dialectNames.join(', ')}; auto asks it, once it answers`,
  },
  ROUNDHOUSE_COMPONENT_SOCKET: { schema: z.string(), fallback: '', help: 'as --component-socket' },
  ROUNDHOUSE_MODEL_MEMORY_BYTES: {
    schema: z.coerce.number().check(z.int(), z.minimum(0)),
    fallback: '0',
    help: 'capacity for models; 0: no limit known',
  },
  ROUNDHOUSE_MODEL_DISK_BYTES: {
    schema: z.coerce.number().check(z.int(), z.minimum(0)),
    fallback: '0',
    help: "size limit of the models' volume; 0: none",
  },
  ROUNDHOUSE_FILE_ROOTS: { schema: colonList, fallback: '', help: 'directories that file:// may read, with colons' },
  ROUNDHOUSE_PLACEMENT: { schema: z.enum(['replicate', 'spread']), fallback: 'replicate', help: 'replicate or spread' },
  ROUNDHOUSE_SECRETS_DIR: {
    schema: z.string(),
    fallback: '/var/run/roundhouse/secrets',
    help: 'mounted Secrets with credentials, a directory each',
  },
  ROUNDHOUSE_ZONE: { schema: z.string(), fallback: '', help: "zone of this pod's node" },
} as const satisfies Record<string, Setting>;

type ValuesOf<Settings extends Record<string, Setting>> = {
  readonly [Name in keyof Settings]: z.output<Settings[Name]['schema']>;
};

export type Config = {
  readonly flags: ValuesOf<typeof flags>;
  readonly env: ValuesOf<typeof variables>;
  /** Flags that were given and have no effect here. */
  readonly withoutEffect: readonly string[];
};

export type Parsed =
  | { readonly kind: 'config'; readonly config: Config }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'problems'; readonly problems: readonly string[] };

type Env = Readonly<Record<string, string | undefined>>;

/** Reads flags (`--name value`, `--name=value`, `--no-name` and a bare `--name` for switches) and the environment. */
export function parseConfig(env: Env, args: readonly string[]): Parsed {
  const problems: string[] = [];
  const given = new Map<string, string>();
  const ignored: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const [, name = '', inline] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(args[index] ?? '') ?? [];
    if (name === 'help' || name === 'h') return { kind: 'help', text: helpText() };
    const negated = name.startsWith('no-') && isSwitch(name.slice(3)) && inline === undefined;
    const next = args[index + 1];
    const takesNext = inline === undefined && !negated && !isSwitch(name) && next !== undefined && !/^--/.test(next);
    if (withoutEffect.includes(name)) ignored.push(`--${name}`);
    else if (negated) given.set(name.slice(3), 'false');
    else if (!(name in flags)) problems.push(`${args[index]}: there is no such flag; --help lists them`);
    else if (inline !== undefined) given.set(name, inline);
    else if (isSwitch(name)) given.set(name, 'true');
    else if (takesNext) given.set(name, next);
    else problems.push(`--${name} needs a value: ${flags[name as keyof typeof flags].help}`);
    if (takesNext && (name in flags || withoutEffect.includes(name))) index++;
  }
  const config = {
    flags: read(flags, (name) => given.get(name), '--', problems),
    env: read(variables, (name) => env[name] || undefined, '', problems),
    withoutEffect: ignored,
  };
  if (config.env.ROUNDHOUSE_CONTROL_ADDRESS !== '' && config.flags.control === true) {
    if (config.env.INFERENCE_SERVICE_NAME === '') problems.push('INFERENCE_SERVICE_NAME is needed for control');
    if (!/:\d+$/.test(config.env.ROUNDHOUSE_CONTROL_ADDRESS)) {
      problems.push('ROUNDHOUSE_CONTROL_ADDRESS must be host:port');
    }
  }
  return problems.length > 0 ? { kind: 'problems', problems } : { kind: 'config', config };
}

const isSwitch = (name: string) => name === 'enable-puller' || name === 'control' || name === 'enable-batcher';

function read<Settings extends Record<string, Setting>>(
  settings: Settings,
  textOf: (name: string) => string | undefined,
  prefix: string,
  problems: string[],
): ValuesOf<Settings> {
  const entries = Object.entries(settings).map(([name, { schema, fallback = '', help }]) => {
    const text = textOf(name) ?? fallback;
    const result = schema.safeParse(text);
    if (!result.success) problems.push(`${prefix}${name} "${text}" is not valid: ${help}`);
    return [name, result.data];
  });
  return Object.fromEntries(entries) as ValuesOf<Settings>;
}

function helpText(): string {
  const rows = (settings: Record<string, Setting>, prefix: string) =>
    Object.entries(settings).map(
      ([name, { help, fallback = '' }]) =>
        `  ${`${prefix}${name}`.padEnd(34)} ${help}${fallback === '' ? '' : ` (${fallback})`}`,
    );
  return [
    `roundhouse agent ${version}: makes what a model server has loaded equal what it should have.`,
    '',
    'Flags (--name value or --name=value):',
    ...rows(flags, '--'),
    '',
    'Environment:',
    ...rows(variables, ''),
  ].join('\n');
}
