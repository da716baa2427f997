import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  for (const name of ['iris', 'other']) directory.copy('iris-onnx', 'model.onnx', `${name}/model.onnx`);
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

const load = (name: string) => test.ask('POST', `/v2/repository/models/${name}/load`);
const unload = (name: string) => test.ask('POST', `/v2/repository/models/${name}/unload`);
const rows = [
  [5, 3, 1, 0.2],
  [6, 3, 5, 2],
];
const inputs = [{ name: 'X', datatype: 'FP32', shape: [2, 4], data: rows }];

type Entry = { readonly inference_stats: Record<string, { count: number; ns: number }> } & Record<string, unknown>;
const statsOf = async (path: string) =>
  ((await test.ask('GET', path)).body as { readonly model_stats: readonly Entry[] }).model_stats;

describe('statistics of a model', () => {
  it('count requests, rows and times, whatever the protocol', async () => {
    await load('iris');
    const before = Date.now();
    await test.ask('POST', '/v2/models/iris/infer', { inputs });
    await test.ask('POST', '/v1/models/iris:predict', { instances: rows });
    const contents = { fp32Contents: rows.flat() };
    const message = { modelName: 'iris', inputs: [{ name: 'X', datatype: 'FP32', shape: [2n, 4n], contents }] };
    await client.ask('modelInfer', message);
    await test.ask('POST', '/v2/models/iris/infer', { inputs: [{ ...inputs[0], datatype: 'FP64' }] });
    await test.ask('POST', '/v2/models/iris/infer', 'no JSON');
    const [entry] = await statsOf('/v2/models/iris/stats');
    const { success, compute_input, compute_infer, compute_output, fail } = entry?.inference_stats ?? {};
    const partsNs = [compute_input, compute_infer, compute_output].map((part) => part?.ns ?? 0);
    const sumNs = partsNs.reduce((sum, ns) => sum + ns, 0);

    expect(entry).toMatchObject({
      name: 'iris',
      version: '1',
      inference_count: 6,
      execution_count: 3,
      batch_stats: [],
    });
    expect(entry?.last_inference).toBeGreaterThanOrEqual(before);
    expect([success, compute_input, compute_infer, compute_output, fail].map((part) => part?.count)).toEqual([
      3, 3, 3, 3, 1,
    ]);
    expect(Math.min(...partsNs)).toBeGreaterThan(0);
    expect(Math.abs(sumNs - (success?.ns ?? 0))).toBeLessThan(10);
  });

  it('are the same over gRPC, of one model or of all', async () => {
    await load('other');
    const [rest] = await statsOf('/v2/models/iris/versions/1/stats');
    const one = await client.ask('modelStatistics', { name: 'iris', version: '1' });
    const all = await client.ask('modelStatistics', {});

    expect(one.modelStats[0]?.inferenceStats?.success?.ns).toBe(BigInt(rest?.inference_stats.success?.ns ?? -1));
    expect(one.modelStats[0]).toMatchObject({ inferenceCount: 6n, executionCount: 3n });
    expect(all.modelStats.map(({ name }) => name)).toEqual(['iris', 'other']);
    expect((await statsOf('/v2/models/stats')).map(({ name }) => name)).toEqual(['iris', 'other']);
    expect(await test.ask('GET', '/v2/models/nobody/stats')).toMatchObject({ status: 404 });
  });

  it('outlive a reload, but not an unload', async () => {
    const count = async () => (await statsOf('/v2/models/iris/stats'))[0]?.execution_count;
    await load('iris');
    const reloaded = await count();
    await unload('iris');
    await load('iris');

    expect(reloaded).toBe(3);
    expect(await count()).toBe(0);
  });
});
