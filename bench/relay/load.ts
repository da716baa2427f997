import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { cores, native, pinned } from './process.ts';

/** Which of a subject's ports a shape uses: each stands for another configuration. */
export type Variant = 'http' | 'grpc' | 'many' | 'uds' | 'tls' | 'tlsgrpc' | 'idle';

export type Shape = {
  readonly variant: Variant;
  readonly proto: 'h1' | 'h2';
  readonly conns: number;
  readonly streams?: number;
  readonly bodyBytes: number;
  readonly models?: number;
  /** A `traceparent` of its own on each request. */
  readonly trace?: boolean;
  /** Instead of as fast as answers come: 70 % of the rate that the subject reached in this shape, and routes change. */
  readonly paced?: string;
  /** The connections ask once and stand idle. */
  readonly held?: boolean;
};

const mebibyte = 1024 * 1024;
export const manyModels = 10_000;
export const fewModels = 10;

export const shapes = {
  /** Small JSON, 64 connections. */
  post: { variant: 'http', proto: 'h1', conns: 64, bodyBytes: 200 },
  lat: { variant: 'http', proto: 'h1', conns: 1, bodyBytes: 200 },
  many: { variant: 'many', proto: 'h1', conns: 64, bodyBytes: 200, models: manyModels },
  uds: { variant: 'uds', proto: 'h1', conns: 64, bodyBytes: 200 },
  big: { variant: 'http', proto: 'h1', conns: 16, bodyBytes: mebibyte },
  grpc: { variant: 'grpc', proto: 'h2', conns: 8, streams: 8, bodyBytes: 190 },
  grpctrace: { variant: 'grpc', proto: 'h2', conns: 8, streams: 8, bodyBytes: 190, trace: true },
  grpclat: { variant: 'grpc', proto: 'h2', conns: 1, bodyBytes: 190 },
  grpcbig: { variant: 'grpc', proto: 'h2', conns: 4, bodyBytes: mebibyte },
  tls: { variant: 'tls', proto: 'h1', conns: 64, bodyBytes: 200 },
  tlsgrpc: { variant: 'tlsgrpc', proto: 'h2', conns: 8, streams: 8, bodyBytes: 190 },
  /** In a process of its own: what ten thousand connections leave behind is not what requests need. */
  idle: { variant: 'idle', proto: 'h1', conns: 10_000, bodyBytes: 200, held: true },
  'post at 70 %': { variant: 'http', proto: 'h1', conns: 64, bodyBytes: 200, paced: 'post' },
  'grpc at 70 %': { variant: 'grpc', proto: 'h2', conns: 8, streams: 8, bodyBytes: 190, paced: 'grpc' },
} as const satisfies Record<string, Shape>;

export type ShapeName = keyof typeof shapes;

export const host = 'bench-default.example.com';
const digits = 5;
/** The names that the load asks for. */
export const modelName = (index: number) => `model-${String(index).padStart(digits, '0')}`;

export type LoadResult = {
  readonly requests: number;
  /** Those without an answer, or with another than was expected. */
  readonly bad: number;
  readonly seconds: number;
  /** Microseconds; at a steady rate from the moment the request was due. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
};

function command(shape: Shape, port: number, options: Readonly<Record<string, number>>): [string, string[]] {
  const { proto, conns, streams = 1, bodyBytes, models = fewModels, trace = false } = shape;
  const all = { proto, port, conns, streams, body: bodyBytes, models, digits, host, trace: Number(trace), ...options };
  return pinned(
    cores.rest,
    native('load'),
    Object.entries(all).map(([key, value]) => `${key}=${value}`),
  );
}

/** Loads `port` for some seconds; `rate` in requests per second, 0 for as many as come back. */
export function load(shape: Shape, port: number, seconds: number, rate = 0): Promise<LoadResult> {
  const [file, args] = command(shape, port, { seconds, rate });
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    child.once('error', reject);
    child.once('close', () => (text === '' ? reject(new Error('the load broke off')) : resolve(JSON.parse(text))));
  });
}

/** Opens connections that ask once and then stand idle, until `release`. */
export async function hold(shape: Shape, port: number): Promise<{ release(): Promise<void> }> {
  const [file, args] = command(shape, port, { hold: 1 });
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', () => resolve());
    child.once('close', () => reject(new Error('the idle connections broke')));
  });
  return {
    async release() {
      child.stdin.end();
      await ended;
    },
  };
}
