import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelServer, startModelServer } from './server.ts';

const examples = join(import.meta.dirname, '../../../examples');
const expected = JSON.parse(readFileSync(join(examples, 'expected/iris-onnx.json'), 'utf8'));
let server: ModelServer;

beforeAll(async () => {
  server = await startModelServer(
    { clock: systemClock, log: silentLog, workerUrl: new URL('./worker.ts', import.meta.url) },
    { modelDirectory: join(examples, 'models'), host: '127.0.0.1', httpPort: 0, socket: undefined },
  );
});
afterAll(() => server.close());

async function ask(method: 'GET' | 'POST', path: string, body?: unknown) {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    method,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

describe('REST', () => {
  it('serves a model once it is asked to load it', async () => {
    expect(await ask('GET', '/v2/models/iris-onnx/ready')).toMatchObject({ status: 404 });
    expect(await ask('POST', '/v2/repository/models/iris-onnx/load')).toMatchObject({ status: 200 });
    const { body } = await ask('POST', '/v2/models/iris-onnx/infer', expected.request.v2);

    expect(body.outputs[0]).toEqual(expected.response.v2.outputs[0]);
  });
});
