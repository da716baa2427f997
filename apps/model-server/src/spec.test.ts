import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { dataTypes } from '@roundhouse/v2-protocol';
import { GRPCInferenceService } from '@roundhouse/v2-protocol/grpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/spec/model-server.md'), 'utf8');
const firstCells = (title: string) =>
  [...(page.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '').matchAll(/^\| (`.*?`) \|/gm)].flatMap(
    ([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  );
const paths = firstCells('HTTP').map((text) => text.split(' ') as [string, string]);
const directory = createModelDirectory();
let test: TestServer;
let client: GrpcClient;

beforeAll(async () => {
  directory.copy('iris-onnx', 'model.onnx', 'iris/model.onnx');
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

const bodies: readonly [RegExp, unknown][] = [
  [/infer$/, { inputs: [{ name: 'X', datatype: 'FP32', shape: [1, 4], data: [5, 3, 1, 0.2] }] }],
  [/:predict$/, { instances: [[5, 3, 1, 0.2]] }],
];

describe('docs/spec/model-server.md', () => {
  it.each(paths)('names %s %s, which answers', async (method, path) => {
    await test.ask('POST', '/v2/repository/models/iris/load');
    const body = bodies.find(([pattern]) => pattern.test(path))?.[1];
    const answer = await test.ask(method, path.replace('<name>', 'iris').replace('<version>', '1'), body);

    expect(answer.status).toBe(200);
  });

  it('names every path of the source', () => {
    const sources = ['rest.ts', 'rest-v1.ts', 'rest-v2.ts'].map((file) =>
      readFileSync(join(import.meta.dirname, file), 'utf8'),
    );
    const inSource = [...sources.join('\n').matchAll(/'(\/(?:v[12]|metrics)[^']*)'/g)].map(([, path = '']) =>
      path.replace(':model', '<name>').replace(':target', '<name>').replace(':version', '<version>'),
    );

    expect(inSource.length).toBeGreaterThan(10);
    expect(inSource.filter((path) => !paths.some(([, named]) => named === path))).toEqual([]);
  });

  it('names the methods of the gRPC service, and each answers', async () => {
    const methods = firstCells('gRPC');
    await test.ask('POST', '/v2/repository/models/iris/load');
    const codes = await Promise.all(
      methods.map((method) =>
        client.send(`/${GRPCInferenceService.typeName}/${method}`, new Uint8Array()).then(
          () => status.OK,
          ({ code }: { code: status }) => code,
        ),
      ),
    );

    expect(methods).toEqual(GRPCInferenceService.methods.map(({ name }) => name));
    expect(codes).not.toContain(status.UNIMPLEMENTED);
  });

  it('names every data type and option', () => {
    const problems = parseConfig(['--unknown']);

    expect(firstCells('Data types').sort()).toEqual([...dataTypes].sort());
    for (const option of firstCells('Options')) expect(JSON.stringify(problems)).toContain(option);
  });
});
