import { status } from '@grpc/grpc-js';
import { invalid } from '@roundhouse/v2-protocol';
import { decodeGrpcStreamAnswer, encodeGrpcRequest } from '@roundhouse/v2-protocol/grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  directory.copy('iris-onnx', 'model.onnx', 'iris/model.onnx');
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
  await client.ask('repositoryModelLoad', { modelName: 'iris' });
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

const rows = (id: string, count: number, modelName = 'iris') =>
  encodeGrpcRequest({
    modelName,
    modelVersion: undefined,
    request: {
      id,
      parameters: {},
      inputs: [{ name: 'X', datatype: 'FP32', shape: [count, 4], data: new Float32Array(count * 4).fill(1) }],
      outputs: [],
    },
    form: 'raw',
  });

async function answersTo(requests: readonly Uint8Array[], metadata?: Record<string, string>) {
  const { answers, failure } = await client.stream(requests, metadata);
  return { answers: answers.map((answer) => decodeGrpcStreamAnswer(answer)), failure };
}

describe('a stream of predictions', () => {
  it('has one answer for each request, in their order, marked as the last of its request', async () => {
    const ids = Array.from({ length: 50 }, (_, at) => String(at));
    const { answers, failure } = await answersTo(ids.map((id) => rows(id, Number(id) + 1)));

    expect(failure).toBeUndefined();
    expect(answers.map((answer) => 'response' in answer && answer.response.id)).toEqual(ids);
    expect(answers[2]).toMatchObject({
      response: { modelName: 'iris', parameters: { triton_final_response: true }, outputs: [{ shape: [3] }, {}] },
    });
  });

  it('goes on after a request that is refused, whose id and reason it tells', async () => {
    const { answers, failure } = await answersTo([
      rows('a', 1),
      rows('b', 1, 'nobody'),
      Uint8Array.of(255),
      rows('d', 1),
    ]);

    expect(failure).toBeUndefined();
    expect(answers).toMatchObject([
      { response: { id: 'a' } },
      { id: 'b', error: 'model "nobody" is not found' },
      { id: undefined, error: expect.stringMatching(/malformed/) },
      { response: { id: 'd' } },
    ]);
  });

  it('ends with the code of a refusal where the client asks for that', async () => {
    const { answers, failure } = await answersTo([rows('a', 1), rows('b', 1, 'nobody'), rows('c', 1)], {
      triton_grpc_error: 'true',
    });

    expect(answers).toHaveLength(1);
    expect(failure).toMatchObject({ code: status.NOT_FOUND, details: 'model "nobody" is not found' });
  });

  it('may hold more than its client has room for, and is ended without harm in the middle', async () => {
    const large = rows('large', 50_000);
    const { answers } = await answersTo([large, large, large, large]);
    client.close();
    client = openGrpcClient(test.server.grpcPort ?? 0);
    const cut = client.stream([large, large, large]);
    client.close();
    client = openGrpcClient(test.server.grpcPort ?? 0);

    expect(answers.every((answer) => 'response' in answer)).toBe(true);
    await cut;
    expect(await client.ask('modelReady', { name: 'iris' })).toMatchObject({ ready: true });
  });

  it('tells an answer from a message that is none', () => {
    expect(() => decodeGrpcStreamAnswer(new Uint8Array())).toThrow(
      invalid('the answer has neither an error nor a response'),
    );
  });
});
