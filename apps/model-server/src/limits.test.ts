import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  directory.copy('iris-onnx', 'model.onnx', 'iris/model.onnx');
  test = await startTestServer(directory.path, { bodyLimitBytes: 3e6, tensorLimitBytes: 1_000, batchLimitRows: 10 });
  client = openGrpcClient(test.server.grpcPort ?? 0);
  await client.ask('repositoryModelLoad', { modelName: 'iris' });
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

const infer = (rows: number, body?: unknown) =>
  test.ask(
    'POST',
    '/v2/models/iris/infer',
    body ?? { inputs: [{ name: 'X', datatype: 'FP32', shape: [rows, 4], data: new Array(rows * 4).fill(1) }] },
  );
const predict = (rows: number) =>
  test.ask('POST', '/v1/models/iris:predict', { instances: Array.from({ length: rows }, () => [1, 2, 3, 4]) });
const inferGrpc = (rows: number) =>
  client.ask('modelInfer', {
    modelName: 'iris',
    inputs: [{ name: 'X', datatype: 'FP32', shape: [BigInt(rows), 4n] }],
    rawInputContents: [new Uint8Array(rows * 16)],
  });

const tooLarge = (reason: RegExp) => ({ status: 413, body: { error: expect.stringMatching(reason) } });
const rowsReason = /"X" has 11 rows; 10 are the most/;
const bytesReason = /"X" of shape \[100, 4\] takes 1600 bytes; 1000 are the most/;

describe('a limit', () => {
  it('on rows holds for V1, V2 and gRPC, and tells the input and what is taken', async () => {
    expect(await infer(11)).toMatchObject(tooLarge(rowsReason));
    expect(await predict(11)).toMatchObject(tooLarge(rowsReason));
    await expect(inferGrpc(11)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringMatching(rowsReason),
    });
    expect((await infer(10)).status).toBe(200);
    expect((await predict(10)).status).toBe(200);
    expect((await inferGrpc(10)).modelName).toBe('iris');
  });

  it('on the size of a tensor holds for V1, V2 and gRPC, before it is allocated', async () => {
    expect(await infer(100)).toMatchObject(tooLarge(bytesReason));
    expect(await predict(100)).toMatchObject(tooLarge(/"X" of shape \[100, 4\] takes 1600 bytes/));
    await expect(inferGrpc(100)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringMatching(bytesReason),
    });
  });

  it('holds on other threads too, where large requests are read', async () => {
    const text = `${'"'.padEnd(300_000, 'x')}"`;
    const body = `{"id":${text},"inputs":[{"name":"X","datatype":"FP32","shape":[100,4],"data":[]}]}`;

    expect(await infer(0, body)).toMatchObject(tooLarge(bytesReason));
  });

  it('on the values of JSON holds before they are parsed', async () => {
    expect(await infer(0, `{"inputs":[${'[],'.repeat(900_000)}0]}`)).toMatchObject(tooLarge(/too many values/));
  });

  it('on the body holds', async () => {
    expect(await infer(0, 'x'.repeat(3_000_001))).toMatchObject({ status: 413 });
  });
});
