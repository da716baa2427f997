import { gunzipSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeGrpcRequest } from './grpc.ts';
import { decodeInferRequest, decodeV1Request, jsonLengthHeader } from './index.ts';
import { type RecordedHttp, recordedRows, recordings } from './testing/recorded.ts';

/** What real clients send is read as they mean it, and their habits are as we believe them to be. */

const x = { name: 'X', datatype: 'FP32', shape: [2, 4], data: recordedRows } as const;
const bodyOf = ({ headers, body }: RecordedHttp) => {
  const coding = headers['content-encoding'];
  return coding === 'gzip' ? gunzipSync(body) : coding === 'deflate' ? inflateSync(body) : body;
};
const exchanges = recordings.flatMap(({ client, http }) => http.map((exchange) => ({ client, ...exchange })));
const calls = recordings.flatMap(({ client, grpc }) => grpc.map((call) => ({ client, ...call })));
const infers = exchanges.filter(({ path }) => path.endsWith('/infer'));
const grpcInfers = calls.filter(({ method }) => method.endsWith('Infer'));
const sent = (call: string, client = 'tritonclient-http-2.73.0') => {
  const found = exchanges.find((exchange) => exchange.client === client && exchange.call.startsWith(call));
  if (found === undefined) throw new Error(`there is no recording of ${call}`);
  return found;
};
const decoded = (exchange: RecordedHttp) => decodeInferRequest(bodyOf(exchange), exchange.headers[jsonLengthHeader]);

describe('a request of a real client is read as it was meant', () => {
  it.each(infers)('$client: $call', (exchange) => {
    const [input] = decoded(exchange).inputs;

    expect(input).toMatchObject({ datatype: x.datatype, shape: x.shape, data: x.data });
  });

  it.each(grpcInfers)('$client: $call', ({ messages }) => {
    for (const message of messages) {
      const { modelName, request } = decodeGrpcRequest(message);

      expect(modelName).toBe('iris-onnx');
      expect(request.inputs).toMatchObject([x]);
    }
  });

  it('kserve-0.21.0: V1', () => {
    const predict = exchanges.find(({ path }) => path.endsWith(':predict'));

    expect(decodeV1Request(predict?.body ?? new Uint8Array(), [{ ...x, shape: [-1, 4] }], undefined)).toEqual([x]);
  });
});

describe('the habits of clients', () => {
  const headersOf = (exchange: RecordedHttp) => Object.keys(exchange.headers);

  it('tritonclient names no Content-Type, with bytes or without', () => {
    for (const call of ['infer, all defaults', 'infer, JSON both ways', 'repository'])
      expect(headersOf(sent(call))).not.toContain('content-type');
  });

  it('tritonclient asks for the index with an empty body', () => {
    expect(sent('repository')).toMatchObject({ path: '/v2/repository/index', body: new Uint8Array() });
  });

  it('tritonclient asks for all outputs as bytes when it lists none, even when it sends JSON', () => {
    for (const call of ['infer, all defaults', 'infer, inputs as JSON'])
      expect(decoded(sent(call))).toMatchObject({ parameters: { binary_data_output: true }, outputs: [] });
    expect(headersOf(sent('infer, inputs as JSON'))).not.toContain(jsonLengthHeader);
  });

  it('tritonclient marks each listed output', () => {
    const outputs = [
      { name: 'label', parameters: { binary_data: true } },
      { name: 'probabilities', parameters: { binary_data: true } },
    ];

    expect(decoded(sent('infer, outputs listed'))).toMatchObject({ parameters: {}, outputs });
  });

  it('tritonclient compresses with zlib as "deflate", and counts the header before that', () => {
    const compressed = sent('infer, compressed both ways');

    expect(Number(compressed.headers[jsonLengthHeader])).toBeGreaterThan(compressed.body.length - x.data.byteLength);
    expect(bodyOf(sent('infer, deflate'))[0]).toBe(0x7b);
  });

  it('tritonclient sends sequence ids of all 64 bits, and parameters of every kind', () => {
    expect(decoded(sent('infer, all parameters'))).toMatchObject({
      id: '7',
      parameters: { sequence_id: 2n ** 63n + 1n, sequence_start: true, priority: 1, part: 0.5, text: 'a', flag: true },
    });
  });

  it('tritonclient.aio calls pure JSON an octet-stream, and takes compressed metadata for granted', () => {
    const json = sent('infer, binary False', 'tritonclient-aio-2.73.0');

    expect(json.headers).toMatchObject({ 'content-type': 'application/octet-stream' });
    expect(headersOf(json)).not.toContain(jsonLengthHeader);
    expect(sent('metadata', 'tritonclient-aio-2.73.0').headers['accept-encoding']).toMatch(/gzip/);
  });

  it('mlserver infer calls bytes JSON', () => {
    const { headers } = sent('mlserver infer, binary True', 'mlserver-1.7.1');

    expect(headers).toMatchObject({
      'content-type': 'application/json',
      [jsonLengthHeader]: expect.stringMatching(/^\d+$/),
    });
  });

  it('MLServer tells how its tensors are to be read, in parameters', () => {
    expect(decoded(sent('an InferenceRequest as JSON', 'mlserver-1.7.1')).inputs[0]?.parameters).toEqual({
      content_type: 'np',
    });
  });

  it('KServe names the model in the body too, and always has an id', () => {
    const v2 = sent('V2 infer, binary False', 'kserve-0.21.0');

    expect(JSON.parse(new TextDecoder().decode(v2.body))).toMatchObject({
      model_name: 'iris-onnx',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('over gRPC, only KServe and MLServer send typed contents', () => {
    const forms = new Map<string, Set<string>>();
    for (const { client, messages } of grpcInfers)
      for (const message of messages)
        forms.set(client, (forms.get(client) ?? new Set()).add(decodeGrpcRequest(message).form));

    expect(Object.fromEntries([...forms].map(([client, found]) => [client, [...found].sort()]))).toEqual({
      'kserve-0.21.0': ['raw', 'typed'],
      'mlserver-1.7.1': ['raw', 'typed'],
      'tritonclient-grpc-2.73.0': ['raw'],
    });
  });

  it('tritonclient asks streams for a final answer', () => {
    const { messages } = grpcInfers.find(({ call }) => call === 'a stream') ?? { messages: [] };

    expect(messages).toHaveLength(3);
    expect(decodeGrpcRequest(messages[0] as Uint8Array).request.parameters).toEqual({
      triton_enable_empty_final_response: true,
    });
  });
});
