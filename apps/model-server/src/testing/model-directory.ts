import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import type { Config } from '../config.ts';
import { type ModelServer, startModelServer } from '../server.ts';
import { probeUrl, workerUrl } from './open-repository.ts';

export const examples = join(import.meta.dirname, '../../../../examples');

/** A model directory of its own, filled by copying examples or writing files. */
export function createModelDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'roundhouse-models-'));
  return {
    path,
    /** Puts the file of an example at `<model>/<file>`. */
    copy(example: string, file: string, target: string) {
      cpSync(join(examples, 'models', example, file), join(path, target));
    },
    write(target: string, content: string | Uint8Array) {
      mkdirSync(dirname(join(path, target)), { recursive: true });
      writeFileSync(join(path, target), content);
    },
    remove: (target = '') => rmSync(join(path, target), { recursive: true, force: true }),
  };
}

type Limits = Pick<Config, 'memoryLimitBytes' | 'bodyLimitBytes' | 'tensorLimitBytes' | 'batchLimitRows'>;

export type TestServer = {
  readonly server: ModelServer;
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
};

export type Answer = { readonly status: number; readonly body: unknown; readonly headers: Headers };

/** A real server on a free port of loopback. */
export async function startTestServer(
  modelDirectory: string,
  { socket, ...given }: { readonly socket?: string } & Partial<Limits> = {},
): Promise<TestServer> {
  const limits = {
    memoryLimitBytes: undefined,
    bodyLimitBytes: undefined,
    tensorLimitBytes: undefined,
    batchLimitRows: 1_048_576,
    ...given,
  };
  const config = { modelDirectory, host: '127.0.0.1', httpPort: 0, grpcPort: 0, socket, ...limits };
  const server = await startModelServer({ clock: systemClock, log: silentLog, workerUrl, probeUrl }, config);
  return {
    server,
    async ask(method, path, body, headers = {}) {
      const isPlain = body === undefined || typeof body === 'string' || body instanceof Uint8Array;
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: isPlain ? (body as string) : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
      return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
    },
  };
}
