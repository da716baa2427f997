import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import {
  type DataType,
  decodeInferResponse,
  encodeInferRequest,
  jsonLengthHeader,
  layoutOf,
  type Tensor,
  type TensorMetadata,
} from '@roundhouse/v2-protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixturesOf } from './testing/fixtures.ts';
import { type GrpcClient, openGrpcClient } from './testing/grpc-client.ts';
import { createModelDirectory, startTestServer, type TestServer } from './testing/model-directory.ts';

/** Ten places where servers of V2 differ or go wrong, each asked of ours over the wire. */

const directory = createModelDirectory();
const encoder = new TextEncoder();
let test: TestServer;
let client: GrpcClient;
/** Of a model that gives each input back as its output, one of each type, with two columns. */
let inputs: readonly TensorMetadata[];

beforeAll(async () => {
  const path = fixturesOf('onnx').find(({ name }) => name === 'types')?.path ?? '';
  directory.copy('iris-onnx', 'model.onnx', 'iris/model.onnx');
  directory.write('types/model.onnx', readFileSync(path));
  test = await startTestServer(directory.path);
  client = openGrpcClient(test.server.grpcPort ?? 0);
  for (const modelName of ['iris', 'types']) await client.ask('repositoryModelLoad', { modelName });
  inputs = ((await test.ask('GET', '/v2/models/types')).body as { inputs: TensorMetadata[] }).inputs;
});
afterAll(async () => {
  client.close();
  await test.server.close();
  directory.remove();
});

/** Zeros for all inputs but that of `datatype`, which has `data`. */
function tensorsWith(datatype: DataType, data: Tensor['data']): Tensor[] {
  return inputs.map((input) => {
    const { kind, create } = layoutOf(input.datatype);
    const zeros = kind === 'bytes' ? Array.from({ length: data.length }, () => new Uint8Array()) : create(data.length);
    return { ...input, shape: [1, data.length], data: input.datatype === datatype ? data : zeros };
  });
}

type Asked = { readonly binary?: boolean; readonly edit?: (json: string) => string };

/** The output of that type; halves go as bytes, as they must, and the others too if `binary`. */
async function echoed(datatype: DataType, data: Tensor['data'], { binary = false, edit = (json) => json }: Asked = {}) {
  const tensors = tensorsWith(datatype, data);
  const inBytes = tensors.filter((tensor) => binary || layoutOf(tensor.datatype).kind === 'half');
  const wanted = inputs.find((input) => input.datatype === datatype)?.name.replace('in_', 'out_') ?? '';
  const encoded = encodeInferRequest(
    {
      id: undefined,
      parameters: {},
      inputs: tensors,
      outputs: [{ name: wanted, parameters: { binary_data: binary } }],
    },
    new Set(inBytes.map(({ name }) => name)),
  );
  const body = encoded.body as Uint8Array;
  const json = encoder.encode(edit(new TextDecoder().decode(body.subarray(0, encoded.jsonLength))));
  const answer = await fetch(`http://127.0.0.1:${test.server.port}/v2/models/types/infer`, {
    method: 'POST',
    headers: { [jsonLengthHeader]: String(json.length) },
    body: new Uint8Array(Buffer.concat([json, body.subarray(encoded.jsonLength)])),
  });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const length = answer.headers.get(jsonLengthHeader) ?? undefined;
  const [output] = answer.status === 200 ? decodeInferResponse(bytes, length).outputs : [];
  return { status: answer.status, text: new TextDecoder().decode(bytes), data: output?.data };
}

const iris = { name: 'X', datatype: 'FP32', shape: [1, 4], data: [5, 3, 1, 0.2] };
const infer = '/v2/models/iris/infer';

describe('a trap of V2', () => {
  it('1: 64-bit integers are beyond the numbers of JavaScript, and keep their digits in JSON both ways', async () => {
    const far = BigInt64Array.of(2n ** 63n - 1n, -(2n ** 53n) - 1n);
    const { text, data } = await echoed('INT64', far);

    expect(data).toEqual(far);
    expect(text).toContain('[9223372036854775807,-9007199254740993]');
    const unsigned = BigUint64Array.of(2n ** 64n - 1n, 1n);
    expect((await echoed('UINT64', unsigned)).data).toEqual(unsigned);
  });

  it('2: NaN and the infinities have no form in JSON: their names are read, null is written, bytes keep them', async () => {
    const edit = (json: string) => json.replace('[0.5,0.25]', '[NaN,-Infinity]');
    const { text } = await echoed('FP32', Float32Array.of(0.5, 0.25), { edit });
    const special = Float32Array.of(Number.NaN, -0);

    expect(JSON.parse(text).outputs[0].data).toEqual([null, null]);
    expect((await echoed('FP32', special, { binary: true })).data).toStrictEqual(special);
  });

  it('3: an integer that its type cannot hold is refused, not wrapped', async () => {
    const edit = (json: string) => json.replace('[7,8]', '[300,8]');
    const { status, text } = await echoed('UINT8', Uint8Array.of(7, 8), { edit });

    expect(status).toBe(400);
    expect(JSON.parse(text).error).toMatch(/tensor ".*" holds 300, which is no UINT8 value/);
  });

  it('4: halves have no form in JSON, and are told to come as bytes', async () => {
    const halves = Uint16Array.of(0x3c00, 0x7e01);
    const answer = await test.ask('POST', '/v2/models/types/infer', {
      inputs: [{ name: 'h', datatype: 'FP16', shape: [1, 1], data: [1] }],
    });

    expect((await echoed('FP16', halves, { binary: true })).data).toEqual(halves);
    expect(answer).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/"h".*binary tensor extension/) },
    });
  });

  it('5: BYTES are any bytes, each after its length; a model of texts refuses what is none', async () => {
    const texts = ['', 'é😀'].map((text) => encoder.encode(text));
    const { status, text } = await echoed('BYTES', [Uint8Array.of(0xff), Uint8Array.of(0)], { binary: true });

    expect((await echoed('BYTES', texts, { binary: true })).data).toEqual(texts);
    expect((await echoed('BYTES', texts)).data).toEqual(texts);
    expect(status).toBe(400);
    expect(text).toMatch(/not valid UTF-8/);
  });

  it('6: the header tells bytes from JSON, not the content type, and counts what was decompressed', async () => {
    const tensor = { ...iris, datatype: 'FP32', data: Float32Array.from(iris.data) } as const;
    const request = { id: undefined, parameters: {}, inputs: [tensor], outputs: [] };
    const { body, jsonLength } = encodeInferRequest(request, new Set(['X']));
    const asJson = { 'content-type': 'application/json', [jsonLengthHeader]: String(jsonLength) };
    const compressed = await test.ask('POST', infer, gzipSync(body), { ...asJson, 'content-encoding': 'gzip' });

    expect(await test.ask('POST', infer, body, asJson)).toMatchObject({ status: 200 });
    expect(compressed).toMatchObject({ status: 200, body: { outputs: [{ name: 'label', data: [0] }, {}] } });
    expect(
      await test.ask('POST', infer, JSON.stringify({ inputs: [iris] }), { 'content-type': 'application/octet-stream' }),
    ).toMatchObject({ status: 200 });
  });

  it('7: over gRPC, raw is answered raw and typed typed, and an empty tensor has its raw contents too', async () => {
    const { data, ...head } = { ...iris, shape: [1n, 4n] };
    const typed = await client.ask('modelInfer', {
      modelName: 'iris',
      inputs: [{ ...head, contents: { fp32Contents: data } }],
    });
    const none = { modelName: 'iris', inputs: [{ ...head, shape: [0n, 4n] }], rawInputContents: [new Uint8Array()] };
    const raw = await client.ask('modelInfer', none);

    expect(typed.outputs[0]?.contents?.int64Contents).toEqual([0n]);
    expect(typed.rawOutputContents).toEqual([]);
    expect(raw.rawOutputContents).toHaveLength(raw.outputs.length);
    expect(raw.outputs[0]?.contents).toBeUndefined();
  });

  it('8: an id is echoed as it came and never made up, and model_version is always a string', async () => {
    const { body } = await test.ask('POST', infer, { inputs: [iris] });
    const echo = await test.ask('POST', infer, { id: '', inputs: [iris] });

    expect(body).toMatchObject({ model_version: '1' });
    expect(body).not.toHaveProperty('id');
    expect(echo.body).toMatchObject({ id: '' });
    expect(await client.ask('modelInfer', { modelName: 'types', inputs: [] }).catch(({ code }) => code)).toBe(3);
  });

  it('9: health has bodies for clients that read them, and the repository needs none', async () => {
    expect((await test.ask('GET', '/v2/health/ready')).body).toEqual({ ready: true });
    expect((await test.ask('GET', '/v2/models/iris/ready')).body).toEqual({ name: 'iris', ready: true });
    expect((await test.ask('POST', '/v2/repository/index')).body).toContainEqual(
      expect.objectContaining({ name: 'iris', version: '1', state: 'READY' }),
    );
    expect(await test.ask('POST', '/v2/repository/models/iris/load')).toMatchObject({ status: 200 });
  });

  it('10: what is wrong with a request is a 400, what is not there a 404, and both say {"error"}', async () => {
    const error = { error: expect.any(String) };
    const changed = (change: object) => test.ask('POST', infer, { inputs: [{ ...iris, ...change }] });

    expect(await test.ask('POST', infer, '{"inputs":')).toMatchObject({ status: 400, body: error });
    expect(await test.ask('POST', infer, [])).toMatchObject({ status: 400, body: error });
    expect(await changed({ shape: [-1, 4] })).toMatchObject({ status: 400, body: error });
    expect(await changed({ data: [1, 2, 3] })).toMatchObject({ status: 400, body: error });
    expect(await changed({ datatype: 'INT64' })).toMatchObject({ status: 400, body: error });
    expect(await test.ask('POST', '/v2/models/nobody/infer', { inputs: [iris] })).toMatchObject({
      status: 404,
      body: error,
    });
    expect(await test.ask('GET', '/v2/models/iris/versions/9')).toMatchObject({ status: 404, body: error });
  });
});
