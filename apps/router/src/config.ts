import { z } from 'zod/mini';

const port = z.coerce.number().check(z.int(), z.minimum(0), z.maximum(65_535));
const text = z.string().check(z.minLength(1));

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
