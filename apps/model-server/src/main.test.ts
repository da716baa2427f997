import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { writeMatrixOnnx } from '@roundhouse/testkit';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { fixturesOf } from './testing/fixtures.ts';
import { openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, examples } from './testing/model-directory.ts';
import { killProcesses, startProcess } from './testing/process.ts';

const directory = createModelDirectory();
afterEach(killProcesses);
afterAll(() => directory.remove());

const post = (port: number, path: string, body: unknown = {}, signal: AbortSignal | null = null) =>
  fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: JSON.stringify(body), signal });
const treesRequest = JSON.parse(readFileSync(join(examples, 'expected/diabetes-xgboost.json'), 'utf8')).request.v2;

describe('the process', () => {
  it('serves until it is asked to stop', async () => {
    const { child, ports } = startProcess('--model-dir', join(examples, 'models'), '--http-port=0', '--grpc-port=0');
    const { http, grpc } = await ports();
    const load = await post(http, '/v2/repository/models/digits-onnx/load');
    const client = openGrpcClient(grpc);
    const ready = await client.ask('modelReady', { name: 'digits-onnx' });
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    client.close();

    expect(load.status).toBe(200);
    expect(ready).toMatchObject({ ready: true });
    expect(code).toBe(0);
  });

  it('says what is wrong with its options, and exits with 2', async () => {
    const { child, output } = startProcess('--http-port', 'many', '--grpc-port', 'few', '--memory-limit', 'much');
    const [code] = await once(child, 'close');

    expect(code).toBe(2);
    expect(output.text).toMatch(/--http-port.*\n--grpc-port.*\n--memory-limit takes a size such as 512Mi/);
  });

  it('says that its port is taken, and exits with 1', async () => {
    const first = startProcess('--http-port=0');
    const { http } = await first.ports();

    expect(first.output.text).not.toMatch(/grpcPort/);
    for (const ports of [[`--http-port=${http}`], ['--http-port=0', `--grpc-port=${http}`]]) {
      const second = startProcess(...ports);
      const [code] = await once(second.child, 'close');

      expect(code).toBe(1);
      expect(second.output.text).toMatch(/EADDRINUSE/);
    }
  });

  it('refuses what its memory limit has no room for, over both transports, and goes on serving', async () => {
    directory.copy('diabetes-xgboost', 'model.json', 'trees/model.json');
    directory.write('matrix/.keep', '');
    writeMatrixOnnx(join(directory.path, 'matrix/model.onnx'), 6_000);
    const { ports } = startProcess(
      '--model-dir',
      directory.path,
      '--http-port=0',
      '--grpc-port=0',
      '--memory-limit=240M',
    );
    const { http, grpc } = await ports();
    const client = openGrpcClient(grpc);

    expect((await post(http, '/v2/repository/models/trees/load')).status).toBe(200);

    const refused = await post(http, '/v2/repository/models/matrix/load');

    expect(refused.status).toBe(507);
    expect(await refused.json()).toEqual({ error: expect.stringMatching(/needs 144 MB, but .* of the 240 MB/) });
    await expect(client.ask('repositoryModelLoad', { modelName: 'matrix' })).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect((await post(http, '/v2/models/trees/infer', treesRequest)).status).toBe(200);
    client.close();
  });

  it('serves others beside a model whose predictions never end, and stops all the same', async () => {
    const endless = fixturesOf('onnx').find(({ name }) => name === 'endless')?.path ?? '';
    directory.copy('diabetes-xgboost', 'model.json', 'trees/model.json');
    directory.write('endless/model.onnx', readFileSync(endless));
    const { child, output, ports } = startProcess('--model-dir', directory.path, '--http-port=0');
    const { http } = await ports();
    for (const model of ['trees', 'endless'])
      expect((await post(http, `/v2/repository/models/${model}/load`)).status).toBe(200);
    const gone = new AbortController();
    const input = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] };
    const asked = post(http, '/v2/models/endless/infer', { inputs: [input] }, gone.signal);

    for (let round = 0; round < 20; round++)
      expect((await post(http, '/v2/models/trees/infer', treesRequest)).status).toBe(200);

    gone.abort();
    await expect(asked).rejects.toThrow();
    child.kill('SIGTERM');
    const [, signal] = await once(child, 'close');

    expect(signal).toBe('SIGKILL');
    expect(output.text).toMatch(/a prediction does not end/);
  });
});
