import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export type Config = {
  readonly modelDirectory: string;
  /** Loopback unless told otherwise: only the agent in the same pod talks to this server. */
  readonly host: string;
  readonly httpPort: number;
  /** gRPC is served only where it is asked for. */
  readonly grpcPort: number | undefined;
  readonly socket: string | undefined;
  /** Undefined: what the container, or else the machine, has. */
  readonly memoryLimitBytes: number | undefined;
  /** Largest request. Undefined: what the memory limit lets be read without danger. */
  readonly bodyLimitBytes: number | undefined;
  /** Largest tensor, decoded. Undefined: as much as the largest request. */
  readonly tensorLimitBytes: number | undefined;
  /** Rows of the largest batch. */
  readonly batchLimitRows: number;
};

const options = {
  'model-dir': { type: 'string', default: '/mnt/models' },
  host: { type: 'string', default: '127.0.0.1' },
  'http-port': { type: 'string', default: '8080' },
  'grpc-port': { type: 'string' },
  socket: { type: 'string' },
  'memory-limit': { type: 'string' },
  'body-limit': { type: 'string' },
  'tensor-limit': { type: 'string' },
  'batch-limit': { type: 'string', default: '1048576' },
} as const;

/** Reads the command line. Reports every problem at once. */
export function parseConfig(argv: readonly string[]): { config: Config } | { problems: readonly string[] } {
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];
  try {
    ({ values } = parseArgs({ args: [...argv], options }));
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`);
    return { problems: [`${(error as Error).message.split('. ')[0]}; the options are ${known.join(', ')}`] };
  }
  const problems: string[] = [];
  const portOf = (name: 'http-port' | 'grpc-port', text: string): number => {
    const port = Number(text);
    if (!/^\d+$/.test(text) || port > 65_535) problems.push(`--${name} takes a port from 0 to 65535, not "${text}"`);
    return port;
  };
  const httpPort = portOf('http-port', values['http-port']);
  const grpcPort = values['grpc-port'] === undefined ? undefined : portOf('grpc-port', values['grpc-port']);
  const sizeOf = (name: 'memory-limit' | 'body-limit' | 'tensor-limit'): number | undefined => {
    const text = values[name];
    const bytes = text === undefined ? undefined : bytesOf(text);
    if (bytes !== undefined && !(bytes > 0)) problems.push(`--${name} takes a size such as 512Mi or 2G, not "${text}"`);
    return bytes;
  };
  const memoryLimitBytes = sizeOf('memory-limit');
  const bodyLimitBytes = sizeOf('body-limit');
  const tensorLimitBytes = sizeOf('tensor-limit');
  const batchLimitRows = Number(values['batch-limit']);
  if (!/^[1-9]\d{0,9}$/.test(values['batch-limit']))
    problems.push(`--batch-limit takes a number of rows from 1 on, not "${values['batch-limit']}"`);
  if (values['model-dir'] === '') problems.push('--model-dir is empty');
  if (problems.length > 0) return { problems };
  const socket = values.socket === undefined ? undefined : resolve(values.socket);
  const modelDirectory = resolve(values['model-dir']);
  return {
    config: {
      modelDirectory,
      host: values.host,
      httpPort,
      grpcPort,
      socket,
      memoryLimitBytes,
      bodyLimitBytes,
      tensorLimitBytes,
      batchLimitRows,
    },
  };
}

const units: Readonly<Record<string, number>> = {
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** As Kubernetes writes sizes; NaN where it is none. */
function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|k|M|G)?$/.exec(text) ?? [];
  return number === '' ? Number.NaN : Math.floor(Number(number) * (units[unit] ?? 1));
}
