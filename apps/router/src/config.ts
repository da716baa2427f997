import type { Limits } from '@roundhouse/http-relay';
import { z } from 'zod/mini';
import type { ServiceLimits } from './service.ts';

const port = z.coerce.number().check(z.int(), z.minimum(0), z.maximum(65_535));
const text = z.string().check(z.minLength(1));
const count = z.coerce.number().check(z.int(), z.minimum(0));
const share = z.coerce.number().check(z.minimum(0), z.maximum(1));

const unitMs = { ms: 1, s: 1_000, m: 60_000 } as const;
const duration = z.pipe(
  z.string().check(z.regex(/^[1-9]\d{0,6}(ms|s|m)$/)),
  z.transform((value) => Number.parseInt(value, 10) * unitMs[value.replace(/^\d+/, '') as keyof typeof unitMs]),
);
const unitBytes = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 } as const;
const size = z.pipe(
  z.string().check(z.regex(/^\d{1,12}(Ki|Mi|Gi)?$/)),
  z.transform((value) => Number.parseInt(value, 10) * unitBytes[value.replace(/^\d+/, '') as keyof typeof unitBytes]),
);

type Setting = { readonly schema: z.ZodMiniType; readonly help: string; readonly fallback?: string };

const flags = {
  host: { schema: text, fallback: '0.0.0.0', help: 'address to listen on' },
  port: { schema: port, fallback: '8080', help: 'port of the data path' },
  'tls-port': { schema: port, fallback: '8443', help: 'port of the data path with TLS, if there is a certificate' },
  'tls-cert': {
    schema: z.string(),
    fallback: '',
    help: 'file with the certificate and its chain, PEM; read again when it changes',
  },
  'tls-key': { schema: z.string(), fallback: '', help: 'file with its key, PEM' },
  'ops-port': { schema: port, fallback: '9090', help: 'port of /healthz, /readyz, /metrics and /routes' },
  'head-timeout': { schema: duration, fallback: '10s', help: 'for a request head, and for a TLS handshake' },
  'idle-timeout': { schema: duration, fallback: '60s', help: 'for a client that sends or takes nothing' },
  'response-timeout': {
    schema: duration,
    fallback: '300s',
    help: 'until a server begins to answer; annotation roundhouse.dev/timeout',
  },
  'wait-timeout': { schema: duration, fallback: '30s', help: 'for a replica, or for its turn' },
  'waiting-max': { schema: count, fallback: '1024', help: 'requests that may wait' },
  'connections-max': { schema: count, fallback: '16384', help: 'client connections of one port' },
  'requests-max': {
    schema: count,
    fallback: '8192',
    help: 'requests under way, which services share fairly from half of it on',
  },
  'body-max': {
    schema: size,
    fallback: '0',
    help: 'bytes of a body, or of one gRPC message; 0: any; annotation roundhouse.dev/max-body',
  },
  concurrency: {
    schema: count,
    fallback: '0',
    help: 'requests under way for one service; 0: any; annotation roundhouse.dev/concurrency',
  },
  'model-concurrency': {
    schema: count,
    fallback: '0',
    help: 'the same for one model; annotation roundhouse.dev/model-concurrency',
  },
  'auth-dir': {
    schema: z.string(),
    fallback: '',
    help: 'directory with api-keys and issuers.json, for services that ask for credentials',
  },
  'access-log': {
    schema: share,
    fallback: '0.01',
    help: 'share of requests in the log, 0 to 1; unless 0, those that fail (5xx) are too',
  },
  'trace-ratio': {
    schema: z.union([z.literal('off'), share]),
    fallback: '1',
    help: 'share of "sampled" among the trace contexts made for requests without one; off: none is made',
  },
  'drain-timeout': { schema: duration, fallback: '30s', help: 'for requests in flight when it is asked to stop' },
  'log-level': {
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    fallback: 'info',
    help: 'debug, info, warn, error or silent',
  },
} as const satisfies Record<string, Setting>;

const variables = {
  ROUNDHOUSE_CONTROL_ADDRESS: {
    schema: z.string().check(z.regex(/^.+:\d+$/)),
    fallback: 'roundhouse-control.roundhouse-system.svc:9443',
    help: 'host:port of the control stream',
  },
  ROUNDHOUSE_CONTROL_SERVER_NAME: {
    schema: z.string(),
    fallback: '',
    help: 'name in its certificate, when it is not the host',
  },
  ROUNDHOUSE_CA_FILE: { schema: text, fallback: '/var/run/roundhouse/ca/ca.crt', help: 'certificates to trust' },
  ROUNDHOUSE_TOKEN_FILE: {
    schema: text,
    fallback: '/var/run/secrets/roundhouse/token',
    help: 'ServiceAccount token to show',
  },
  POD_NAME: { schema: z.string(), fallback: 'router', help: "this pod's name" },
  ROUNDHOUSE_ZONE: { schema: z.string(), fallback: '', help: "zone of this pod's node" },
} as const satisfies Record<string, Setting>;

export type Config = {
  readonly host: string;
  readonly port: number;
  readonly tlsPort: number;
  /** Files; undefined: no TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly opsPort: number;
  readonly limits: Pick<
    Limits,
    | 'headTimeoutMs'
    | 'idleTimeoutMs'
    | 'responseTimeoutMs'
    | 'parkedMs'
    | 'parkedMax'
    | 'connectionsMax'
    | 'bodySizeMax'
  >;
  /** Of services that say nothing else. */
  readonly serviceLimits: ServiceLimits;
  readonly requestsMax: number;
  readonly authDir: string | undefined;
  readonly accessLogRatio: number;
  readonly traceRatio: number | undefined;
  readonly drainMs: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** host:port. */
  readonly controlAddress: string;
  readonly controlServerName: string;
  readonly caFile: string;
  readonly tokenFile: string;
  readonly podName: string;
  readonly zone: string;
};

export type Parsed =
  | { readonly config: Config; readonly problems: readonly [] }
  | { readonly config: undefined; readonly problems: readonly string[] };

/** Reads `--name value`, `--name=value` and the environment; says everything that is wrong at once. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>, args: readonly string[]): Parsed {
  const problems: string[] = [];
  const given = flagsIn(args, problems);
  const flag = read(flags, (name) => given.get(name), '--', problems);
  const variable = read(variables, (name) => env[name] || undefined, '', problems);
  const { 'tls-cert': cert, 'tls-key': key } = flag;
  if ((cert === '') !== (key === '')) problems.push('--tls-cert and --tls-key need each other');
  if (problems.length > 0) return { config: undefined, problems };
  const controlAddress = variable.ROUNDHOUSE_CONTROL_ADDRESS;
  const config = {
    host: flag.host,
    port: flag.port,
    tlsPort: flag['tls-port'],
    tls: cert === '' ? undefined : { cert, key },
    opsPort: flag['ops-port'],
    ...limitsFrom(flag),
    authDir: flag['auth-dir'] || undefined,
    accessLogRatio: flag['access-log'],
    traceRatio: flag['trace-ratio'] === 'off' ? undefined : flag['trace-ratio'],
    drainMs: flag['drain-timeout'],
    logLevel: flag['log-level'],
    controlAddress,
    controlServerName:
      variable.ROUNDHOUSE_CONTROL_SERVER_NAME || controlAddress.slice(0, controlAddress.lastIndexOf(':')),
    caFile: variable.ROUNDHOUSE_CA_FILE,
    tokenFile: variable.ROUNDHOUSE_TOKEN_FILE,
    podName: variable.POD_NAME,
    zone: variable.ROUNDHOUSE_ZONE,
  };
  return { config, problems: [] };
}

function limitsFrom(flag: ValuesOf<typeof flags>) {
  const orAny = (value: number) => value || Number.POSITIVE_INFINITY;
  return {
    limits: {
      headTimeoutMs: flag['head-timeout'],
      idleTimeoutMs: flag['idle-timeout'],
      responseTimeoutMs: flag['response-timeout'],
      parkedMs: flag['wait-timeout'],
      parkedMax: flag['waiting-max'],
      connectionsMax: flag['connections-max'],
      bodySizeMax: orAny(flag['body-max']),
    },
    serviceLimits: {
      concurrency: orAny(flag.concurrency),
      modelConcurrency: orAny(flag['model-concurrency']),
      queue: undefined,
      bodyBytes: Number.POSITIVE_INFINITY,
      timeoutMs: Number.POSITIVE_INFINITY,
    },
    requestsMax: flag['requests-max'],
  };
}

export function helpText(): string {
  const rows = (settings: Record<string, Setting>, prefix: string) =>
    Object.entries(settings).map(
      ([name, { help, fallback = '' }]) =>
        `  ${`${prefix}${name}`.padEnd(32)} ${help}${fallback === '' ? '' : ` (${fallback})`}`,
    );
  return [
    'roundhouse router: sends each request to a replica that holds its model.',
    '',
    ...rows(flags, '--'),
    '',
    'Environment:',
    ...rows(variables, ''),
  ].join('\n');
}

function flagsIn(args: readonly string[], problems: string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    const [, name, inline] = /^--([a-z-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    const value = inline ?? (args[index + 1]?.startsWith('--') ? undefined : args[index + 1]);
    if (name === undefined) problems.push(`${arg}: there is no such argument`);
    else if (!(name in flags)) problems.push(`--${name}: there is no such flag`);
    else if (value === undefined) problems.push(`--${name} needs a value`);
    else given.set(name, value);
    if (name !== undefined && inline === undefined && value !== undefined) index++;
  }
  return given;
}

type ValuesOf<Settings extends Record<string, Setting>> = {
  readonly [Name in keyof Settings]: z.output<Settings[Name]['schema']>;
};

function read<Settings extends Record<string, Setting>>(
  settings: Settings,
  textOf: (name: string) => string | undefined,
  prefix: string,
  problems: string[],
): ValuesOf<Settings> {
  const entries = Object.entries(settings).map(([name, { schema, fallback = '', help }]) => {
    const value = textOf(name) ?? fallback;
    const result = schema.safeParse(value);
    if (!result.success) problems.push(`${prefix}${name} "${value}" is not valid: ${help}`);
    return [name, result.data];
  });
  return Object.fromEntries(entries) as ValuesOf<Settings>;
}
