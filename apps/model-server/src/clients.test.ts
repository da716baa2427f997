import { request } from 'node:http';
import { decodeInferResponse, jsonLengthHeader } from '@roundhouse/v2-protocol';
import { decodeGrpcResponse, decodeGrpcStreamAnswer } from '@roundhouse/v2-protocol/grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RecordedHttp, recordedLabels, recordings } from '../../../packages/v2-protocol/src/testing/recorded.ts';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  directory.copy('iris-onnx', 'model.onnx', 'iris-onnx/model.onnx');
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
  await client.ask('repositoryModelLoad', { modelName: 'iris-onnx' });
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

type Answer = { status: number; headers: Record<string, unknown>; body: Buffer };

/** As it was sent: with no header that the client did not have. */
function replay({ method, path, headers, hasLength, body }: RecordedHttp): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = hasLength ? { 'content-length': body.length } : {};
    const call = request({ port: test.server.port, method, path, headers: { ...headers, ...length } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
      );
    });
    call.on('error', reject).end(body);
  });
}

const labelOf = ({ outputs }: { outputs: readonly { name: string; data: unknown }[] }) =>
  Array.from((outputs.find(({ name }) => name === 'label')?.data ?? []) as BigInt64Array);

describe.each(recordings)('what $client sends', ({ http, grpc }) => {
  it('has the answer that it was content with, over HTTP', async () => {
    for (const exchange of http) {
      const { status, headers, body } = await replay(exchange);

      expect(status, exchange.call).toBe(200);
      expect(headers['content-encoding'], 'clients of Triton read no compressed metadata').toBeUndefined();
      const length = headers[jsonLengthHeader];
      if (exchange.path.endsWith('/infer'))
        expect(labelOf(decodeInferResponse(body, length as string | undefined))).toEqual(recordedLabels);
      if (exchange.path.endsWith(':predict'))
        expect(JSON.parse(String(body)).predictions).toMatchObject(
          recordedLabels.map((label) => ({ label: Number(label) })),
        );
    }
  });

  it('has the answer that it was content with, over gRPC', async () => {
    for (const { method, messages, metadata } of grpc) {
      const { answers, failure } = await client.stream(messages, metadata, method.slice(method.lastIndexOf('/') + 1));

      expect(failure, method).toBeUndefined();
      for (const answer of answers) {
        if (method.endsWith('/ModelInfer')) expect(labelOf(decodeGrpcResponse(answer))).toEqual(recordedLabels);
        if (!method.endsWith('/ModelStreamInfer')) continue;
        const streamed = decodeGrpcStreamAnswer(answer);
        expect('response' in streamed && labelOf(streamed.response)).toEqual(recordedLabels);
      }
    }
  });
});
