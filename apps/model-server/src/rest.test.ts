import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { decodeInferResponse, encodeInferRequest, jsonLengthHeader } from '@roundhouse/v2-protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createModelDirectory, examples, startTestServer, type TestServer } from './testing/model-directory.ts';

const { request: rows, response } = JSON.parse(readFileSync(join(examples, 'expected/iris-onnx.json'), 'utf8'));
const directory = createModelDirectory();
const socket = join(directory.path, '.server.sock');
let test: TestServer;

beforeAll(async () => {
  directory.copy('iris-onnx', 'model.onnx', 'iris/model.onnx');
  directory.copy('cancer-xgboost', 'model.ubj', 'cancer/3/model.ubj');
  test = await startTestServer(directory.path, { socket });
  for (const model of ['iris', 'cancer']) await test.ask('POST', `/v2/repository/models/${model}/load`);
});
afterAll(async () => {
  await test.server.close();
  directory.remove();
});

describe('the server', () => {
  it.each([
    ['/', { status: 'alive' }],
    ['/v2/health/live', { live: true }],
    ['/v2/health/ready', { ready: true }],
    ['/v2/health/ready/', { ready: true }],
    ['/v2', { name: 'roundhouse-model-server', extensions: ['model_repository', 'binary_tensor_data', 'statistics'] }],
    ['/v2/models', { models: ['iris', 'cancer'] }],
    ['/v1/models', { models: ['iris', 'cancer'] }],
    ['/v1/models/iris', { name: 'iris', ready: true }],
    ['/v2/models/iris/ready', { name: 'iris', ready: true }],
    ['/v2/models/iris/versions/1/ready', { name: 'iris', ready: true }],
    ['/v2/models/cancer/versions/3/ready', { name: 'cancer', ready: true }],
  ])('answers GET %s', async (path, body) => {
    expect(await test.ask('GET', path)).toMatchObject({ status: 200, body });
  });

  it('tells what a model takes and gives, from its file', async () => {
    expect(await test.ask('GET', '/v2/models/iris')).toMatchObject({
      body: {
        name: 'iris',
        versions: ['1'],
        platform: 'onnx_onnxv1',
        inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 4] }],
        outputs: [
          { name: 'label', datatype: 'INT64', shape: [-1] },
          { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
        ],
      },
    });
    expect(await test.ask('GET', '/v2/models/cancer')).toMatchObject({
      body: {
        versions: ['3'],
        platform: 'xgboost',
        inputs: [{ name: 'input-0', datatype: 'FP32', shape: [-1, 30] }],
        outputs: [{ name: 'output-0', datatype: 'FP32', shape: [-1] }],
      },
    });
  });

  it('counts its models and predictions', async () => {
    const { body } = await test.ask('GET', '/metrics');

    expect(body).toMatch(/^roundhouse_model_server_models 2$/m);
    expect(body).toMatch(/^roundhouse_model_server_predictions_total\{outcome="ok"\} \d+$/m);
  });

  it('answers on its unix socket too', async () => {
    const status = await new Promise((resolve, reject) => {
      request({ socketPath: socket, path: '/v2/models/iris/ready' }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end();
    });

    expect(status).toBe(200);
  });
});

describe('a prediction', () => {
  it('answers with the id of the request and only the outputs asked for', async () => {
    const body = { ...rows.v2, id: 'seven', outputs: [{ name: 'label' }] };
    const answer = await test.ask('POST', '/v2/models/iris/versions/1/infer', body);

    expect(answer.body).toEqual({ ...response.v2, model_name: 'iris', id: 'seven', outputs: [response.v2.outputs[0]] });
  });

  it('takes the only input under any name, a body under any type, compressed or not', async () => {
    const body = JSON.stringify({ inputs: [{ ...rows.v2.inputs[0], name: 'anything' }] });
    const headers = { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' };
    const answer = await test.ask('POST', '/v2/models/iris/infer', gzipSync(body), headers);

    expect(answer.body).toMatchObject({ outputs: [response.v2.outputs[0], { name: 'probabilities' }] });
  });

  it('takes and gives tensors as bytes', async () => {
    const [input] = rows.v2.inputs;
    const tensor = { ...input, data: Float32Array.from(input.data) };
    const encoded = encodeInferRequest(
      { id: undefined, parameters: { binary_data_output: true }, inputs: [tensor], outputs: [] },
      new Set(['X']),
    );
    const answer = await fetch(`http://127.0.0.1:${test.server.port}/v2/models/iris/infer`, {
      method: 'POST',
      body: encoded.body as Uint8Array<ArrayBuffer>,
      headers: { [jsonLengthHeader]: String(encoded.jsonLength) },
    });
    const length = answer.headers.get(jsonLengthHeader) ?? undefined;
    const { outputs } = decodeInferResponse(new Uint8Array(await answer.arrayBuffer()), length);

    expect(length).toMatch(/^\d+$/);
    expect(outputs[0]?.data).toEqual(BigInt64Array.from(response.v2.outputs[0].data as number[], BigInt));
  });

  it('takes V1 rows as objects, and a colon that came encoded', async () => {
    const instances = rows.v1.instances.map((X: number[]) => ({ X }));
    const answer = await test.ask('POST', '/v1/models/iris%3Apredict', { instances });

    expect(answer).toMatchObject({
      status: 200,
      body: { predictions: [{ label: 0 }, { label: 0 }, { label: 1 }, {}, {}, {}] },
    });
  });
});

describe('an error', () => {
  const x = { name: 'X', datatype: 'FP32', shape: [1, 4], data: [1, 2, 3, 4] };
  const infer = '/v2/models/iris/infer';
  it.each([
    ['unknown model, V2', 'POST', '/v2/models/none/infer', { inputs: [x] }, 404, /model "none" is not found/],
    ['unknown model, V1', 'POST', '/v1/models/none:predict', rows.v1, 404, /model "none" is not found/],
    ['unknown model, metadata', 'GET', '/v2/models/none', undefined, 404, /not found/],
    ['unknown model, V1 state', 'GET', '/v1/models/none', undefined, 404, /not found/],
    ['unknown version', 'GET', '/v2/models/iris/versions/2', undefined, 404, /has version 1, not 2/],
    ['unknown path', 'GET', '/v3', undefined, 404, /nothing at this path/],
    ['wrong method', 'GET', infer, undefined, 405, /use POST/],
    ['malformed JSON, V2', 'POST', infer, '{"inputs":', 400, /malformed JSON/],
    ['malformed JSON, V1', 'POST', '/v1/models/iris:predict', '{"instances":', 400, /malformed JSON/],
    ['no body', 'POST', infer, undefined, 400, /malformed JSON/],
    ['wrong type', 'POST', infer, { inputs: [{ ...x, datatype: 'FP64' }] }, 400, /"X" takes FP32, not FP64/],
    ['wrong width', 'POST', infer, { inputs: [{ ...x, shape: [2, 2] }] }, 400, /"X" takes shape \[-1, 4\].* \[2, 2\]/],
    ['too many inputs', 'POST', infer, { inputs: [x, { ...x, name: 'Y' }] }, 400, /takes 1 input \("X"\).* has 2/],
    ['no inputs', 'POST', infer, { inputs: [] }, 400, /takes 1 input/],
    ['unknown output', 'POST', infer, { inputs: [x], outputs: [{ name: 'Z' }] }, 400, /no output "Z"; it has "label"/],
    ['V1 rows too short', 'POST', '/v1/models/cancer:predict', { instances: [[1]] }, 400, /shape \[-1, 30\]/],
    ['V1 explain', 'POST', '/v1/models/iris:explain', rows.v1, 501, /:predict/],
    ['V1 without a verb', 'POST', '/v1/models/iris', rows.v1, 404, /:predict/],
    ['load of nothing', 'POST', '/v2/repository/models/none/load', {}, 404, /no files/],
    ['load of a hidden name', 'POST', '/v2/repository/models/.roundhouse/load', {}, 400, /no model name/],
    ['load of a path', 'POST', '/v2/repository/models/..%2Firis/load', {}, 400, /no model name/],
    ['index with a list', 'POST', '/v2/repository/index', [], 400, /not a JSON object/],
  ])('has its status and its reason: %s', async (_, method, path, body, status, reason) => {
    const answer = await test.ask(method, path, body);

    expect(answer).toMatchObject({ status, body: { error: expect.stringMatching(reason) } });
  });

  it('is 413 for a body that is too large once decompressed', async () => {
    const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024));
    const answer = await test.ask('POST', infer, bomb, { 'content-encoding': 'gzip' });

    expect(answer).toMatchObject({ status: 413, body: { error: expect.stringMatching(/larger than/) } });
  });

  it('is 501 for a compression nobody agreed on', async () => {
    expect(await test.ask('POST', infer, 'x', { 'content-encoding': 'br' })).toMatchObject({ status: 501 });
  });
});
