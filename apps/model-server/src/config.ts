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
};

const options = {
  'model-dir': { type: 'string', default: '/mnt/models' },
  host: { type: 'string', default: '127.0.0.1' },
  'http-port': { type: 'string', default: '8080' },
  'grpc-port': { type: 'string' },
  socket: { type: 'string' },
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
  if (values['model-dir'] === '') problems.push('--model-dir is empty');
  if (problems.length > 0) return { problems };
  const socket = values.socket === undefined ? undefined : resolve(values.socket);
  return { config: { modelDirectory: resolve(values['model-dir']), host: values.host, httpPort, grpcPort, socket } };
}
