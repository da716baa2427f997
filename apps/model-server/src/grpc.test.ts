import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import {
  decodeInferRequest,
  encodeInferResponse,
  type InferRequest,
  type InferResponse,
} from '@roundhouse/v2-protocol';
import { type ContentsForm, decodeGrpcResponse, encodeGrpcRequest } from '@roundhouse/v2-protocol/grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectClose } from './testing/close.ts';
import { type GrpcClient, inferPath, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, examples, startTestServer, type TestServer } from './testing/model-directory.ts';

const names = readdirSync(join(examples, 'models')).sort();
const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  for (const name of names) {
    const [file = ''] = readdirSync(join(examples, 'models', name));
    directory.copy(name, file, join(name, file));
  }
  directory.copy('iris-onnx', 'model.onnx', 'reload/3/model.onnx');
  directory.write('broken/model.onnx', 'not a model');
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
  for (const modelName of names) await client.ask('repositoryModelLoad', { modelName });
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

function exampleOf(name: string) {
  const { request, response, toleranceRelative } = JSON.parse(
    readFileSync(join(examples, 'expected', `${name}.json`), 'utf8'),
  );
  const decoded = decodeInferRequest(Buffer.from(JSON.stringify(request.v2)), undefined);
  return { json: request.v2, request: decoded, response: response.v2, toleranceRelative };
}

async function infer(modelName: string, request: InferRequest, form: ContentsForm): Promise<InferResponse> {
  const message = encodeGrpcRequest({ modelName, modelVersion: undefined, request, form });
  return decodeGrpcResponse(await client.send(inferPath, message));
}

const irisRow = { name: 'X', datatype: 'FP32', shape: [1n, 4n], contents: { fp32Contents: [5, 3, 1, 0.2] } };

describe('predictions over gRPC', () => {
  it.each(names)('%s answers as over REST, and as the native library did, raw and typed', async (name) => {
    const { json, request, response, toleranceRelative } = exampleOf(name);
    const rest = await test.ask('POST', `/v2/models/${name}/infer`, json);
    for (const form of ['raw', 'typed'] as const) {
      const { body } = encodeInferResponse(await infer(name, request, form), { outputs: [], parameters: {} });
      const answer = JSON.parse(String(body));

      expect(answer).toEqual(rest.body);
      expectClose(answer, response, toleranceRelative);
    }
  });

  it('come in the form in which the inputs came', async () => {
    const typed = await client.ask('modelInfer', { modelName: 'iris-onnx', id: 'a', inputs: [irisRow] });
    const { contents: _, ...head } = irisRow;
    const rawInputContents = [new Uint8Array(Float32Array.of(5, 3, 1, 0.2).buffer)];
    const raw = await client.ask('modelInfer', { modelName: 'iris-onnx', inputs: [head], rawInputContents });

    expect(typed).toMatchObject({ modelName: 'iris-onnx', modelVersion: '1', id: 'a', rawOutputContents: [] });
    expect(typed.outputs[0]?.contents?.int64Contents).toEqual([0n]);
    expect(raw.outputs.map(({ contents }) => contents)).toEqual([undefined, undefined]);
    expect(raw.rawOutputContents.map(({ length }) => length)).toEqual([8, 12]);
  });

  it('give only the outputs that were asked for, in that order', async () => {
    const outputs = [{ name: 'probabilities' }, { name: 'label' }];
    const answer = await client.ask('modelInfer', { modelName: 'iris-onnx', inputs: [irisRow], outputs });

    expect(answer.outputs.map(({ name }) => name)).toEqual(['probabilities', 'label']);
  });

  it('go on beside each other, on one connection, while a model is reloaded', async () => {
    await client.ask('repositoryModelLoad', { modelName: 'reload' });
    const { request } = exampleOf('iris-onnx');
    const expected = await infer('reload', request, 'raw');
    const reloads = Array.from({ length: 10 }, () => client.ask('repositoryModelLoad', { modelName: 'reload' }));
    const answers = await Promise.all(Array.from({ length: 300 }, () => infer('reload', request, 'raw')));
    await Promise.all(reloads);

    expect(
      answers.every(({ outputs }) => Buffer.from(JSON.stringify(outputs, bigAsText)).equals(textOf(expected))),
    ).toBe(true);
  });
});

const bigAsText = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
const textOf = ({ outputs }: InferResponse) => Buffer.from(JSON.stringify(outputs, bigAsText));

describe('what is wrong over gRPC', () => {
  const refusals: [string, () => Promise<unknown>, status, RegExp][] = [
    ['an unknown model', () => ask({ modelName: 'nobody' }), status.NOT_FOUND, /"nobody" is not found/],
    ['an unknown version', () => ask({ modelVersion: '7' }), status.NOT_FOUND, /has version 1, not 7/],
    ['a missing input', () => ask({ inputs: [] }), status.INVALID_ARGUMENT, /takes 1 input \("X"\)/],
    [
      'a wrong type',
      () => ask({ inputs: [{ ...irisRow, datatype: 'FP64' }] }),
      status.INVALID_ARGUMENT,
      /"X" of type FP64/,
    ],
    ['a wrong shape', () => ask({ inputs: [{ ...irisRow, shape: [2n, 2n] }] }), status.INVALID_ARGUMENT, /takes shape/],
    ['an unknown output', () => ask({ outputs: [{ name: 'é' }] }), status.INVALID_ARGUMENT, /no output "é"/],
    ['a very long name', () => ask({ modelName: '😀'.repeat(50_000) }), status.NOT_FOUND, /^\d+ NOT_FOUND: model "😀/],
    ['no message at all', () => client.send(inferPath, Uint8Array.of(0xff)), status.INVALID_ARGUMENT, /malformed/],
    ['metadata of nobody', () => client.ask('modelMetadata', { name: 'nobody' }), status.NOT_FOUND, /not found/],
    ['readiness of nobody', () => client.ask('modelReady', { name: 'nobody' }), status.NOT_FOUND, /not found/],
    ['statistics of nobody', () => client.ask('modelStatistics', { name: 'nobody' }), status.NOT_FOUND, /not found/],
    ['a load without files', () => load('nobody'), status.NOT_FOUND, /no files for this model/],
    ['a load of a broken model', () => load('broken'), status.INVALID_ARGUMENT, /./],
    ['a load of a path', () => load('../etc'), status.INVALID_ARGUMENT, /no model name/],
    ['a load of nothing', () => load(''), status.INVALID_ARGUMENT, /no model name/],
    ['a load with files', () => load('iris-onnx', 'file:1/model.onnx'), status.UNIMPLEMENTED, /"file:1\/model.onnx"/],
    [
      'another repository',
      () => client.ask('repositoryIndex', { repositoryName: 'other' }),
      status.UNIMPLEMENTED,
      /one repository/,
    ],
    [
      'a method of another extension',
      () => client.send('/inference.GRPCInferenceService/TraceSetting', new Uint8Array()),
      status.UNIMPLEMENTED,
      /TraceSetting/,
    ],
    [
      'more than 64 MiB',
      () => client.send(inferPath, new Uint8Array(64 * 1024 * 1024 + 1)),
      status.RESOURCE_EXHAUSTED,
      /larger than max/,
    ],
  ];
  const ask = (change: object) => client.ask('modelInfer', { modelName: 'iris-onnx', inputs: [irisRow], ...change });
  const load = (modelName: string, parameter?: string) =>
    client.ask('repositoryModelLoad', {
      modelName,
      parameters:
        parameter === undefined ? {} : { [parameter]: { parameterChoice: { case: 'stringParam', value: '' } } },
    });

  it.each(refusals)('%s gets its code and a reason', async (_what, attempt, code, reason) => {
    await expect(attempt()).rejects.toMatchObject({ code, message: expect.stringMatching(reason) });
  });

  it('leaves the server as it was', async () => {
    expect(await client.ask('modelReady', { name: 'iris-onnx' })).toMatchObject({ ready: true });
  });
});

describe('the server over gRPC', () => {
  it('is live and ready, and tells who it is', async () => {
    expect(await client.ask('serverLive', {})).toMatchObject({ live: true });
    expect(await client.ask('serverReady', {})).toMatchObject({ ready: true });
    expect(await client.ask('serverMetadata', {})).toMatchObject((await test.ask('GET', '/v2')).body as object);
  });

  it('tells what models take and give, as over REST', async () => {
    const { inputs, ...rest } = await client.ask('modelMetadata', { name: 'iris-onnx', version: '1' });

    expect(rest).toMatchObject({ name: 'iris-onnx', versions: ['1'], platform: 'onnx_onnxv1' });
    expect(inputs).toMatchObject([{ name: 'X', datatype: 'FP32', shape: [-1n, 4n] }]);
  });

  it('lists, and unloads, for REST as well', async () => {
    await client.ask('repositoryModelLoad', { modelName: 'reload' });
    const before = await client.ask('repositoryIndex', { ready: true });
    await client.ask('repositoryModelUnload', { modelName: 'reload' });
    const after = await client.ask('repositoryIndex', {});

    expect(before.models).toContainEqual(expect.objectContaining({ name: 'reload', version: '3', state: 'READY' }));
    expect(after.models.map(({ name }) => name)).not.toContain('reload');
    expect((await test.ask('GET', '/v2/models/reload/ready')).status).toBe(404);
    await expect(client.ask('modelInfer', { modelName: 'reload', inputs: [irisRow] })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });
});
