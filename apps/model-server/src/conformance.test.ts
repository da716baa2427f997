import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { surfaces } from '@roundhouse/v2-protocol';
import { runConformance, type Transport, type Verdict } from '@roundhouse/v2-protocol/conformance';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, examples, startTestServer, type TestServer } from './testing/model-directory.ts';

const names = readdirSync(join(examples, 'models')).sort();
const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;
let transport: Transport;

beforeAll(async () => {
  for (const name of names) {
    const [file = ''] = readdirSync(join(examples, 'models', name));
    directory.copy(name, file, join(name, file));
  }
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
  for (const modelName of names) await client.ask('repositoryModelLoad', { modelName });
  transport = {
    async http({ method, path, headers, body }) {
      const sent = typeof body === 'string' ? new TextEncoder().encode(body) : body;
      const answer = await fetch(`http://127.0.0.1:${test.server.port}${path}`, {
        method,
        headers: { ...headers },
        ...(sent === undefined ? {} : { body: sent as Uint8Array<ArrayBuffer> }),
      });
      const fields = Object.fromEntries(answer.headers);
      return { status: answer.status, headers: fields, body: new Uint8Array(await answer.arrayBuffer()) };
    },
    async grpc({ method, messages }) {
      const { answers, failure } = await client.stream(messages, {}, method);
      return { code: failure?.code ?? 0, details: failure?.details ?? '', messages: answers };
    },
  };
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

describe('the conformance suite', () => {
  it.each(names)('has every rule pass on %s, over REST and gRPC', async (model) => {
    const verdicts: Verdict[] = [];
    const options = { model, request: undefined, surfaces };
    for await (const verdict of runConformance(transport, options, new AbortController().signal))
      verdicts.push(verdict);

    expect(verdicts.filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(80);
  });
});
