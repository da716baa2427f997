import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dataTypes,
  decodeInferRequest,
  decodeInferResponse,
  decodeRawRequest,
  type Encoded,
  elementCount,
  encodeInferRequest,
  encodeInferResponse,
  InferenceError,
  layoutOf,
  type Tensor,
  type TensorMetadata,
} from './index.ts';
import { anyTensor } from './testing/any-tensor.ts';

const encoder = new TextEncoder();
const bytesOf = ({ body }: Encoded) => (typeof body === 'string' ? encoder.encode(body) : body);
const lengthOf = ({ jsonLength }: Encoded) => (jsonLength === undefined ? undefined : String(jsonLength));
const decode = (request: unknown) =>
  decodeInferRequest(encoder.encode(typeof request === 'string' ? request : JSON.stringify(request)), undefined);
const single = (datatype: string, shape: unknown, data: unknown) => ({
  inputs: [{ name: 'x', datatype, shape, data }],
});

const inJson = dataTypes.filter((datatype) => layoutOf(datatype).kind !== 'half');
const request = (inputs: readonly Tensor[]) => ({
  id: 'a',
  parameters: { priority: 1, sequence_id: 2n ** 64n - 1n, text: '"', exact: false },
  inputs: inputs.map((tensor) => ({ ...tensor, parameters: { content_type: 'np' } })),
  outputs: [{ name: 'y', parameters: { binary_data: true, far: 2n ** 60n } }],
});

describe('an inference request', () => {
  it('comes back as it was, through JSON', () => {
    fc.assert(
      fc.property(anyTensor('x', inJson), anyTensor('y', inJson), (x, y) => {
        const encoded = encodeInferRequest(request([x, y]));

        expect(decodeInferRequest(bytesOf(encoded), undefined)).toEqual(request([x, y]));
      }),
    );
  });

  it('comes back as it was, with some tensors as bytes', () => {
    fc.assert(
      fc.property(anyTensor('x', dataTypes), anyTensor('y', inJson), (x, y) => {
        fc.pre(elementCount(x.shape) > 0);
        const encoded = encodeInferRequest(request([y, x]), new Set(['x']));

        expect(decodeInferRequest(bytesOf(encoded), lengthOf(encoded))).toEqual(request([y, x]));
      }),
    );
  });

  it('may nest its data as the shape says', () => {
    const { inputs } = decode(single('INT32', [2, 1, 2], [[[1, 2]], [[3, 4]]]));

    expect(inputs[0]?.data).toEqual(Int32Array.of(1, 2, 3, 4));
  });

  it('keeps 64-bit integers exact', () => {
    const { inputs } = decode(
      '{"inputs":[{"name":"x","datatype":"UINT64","shape":[2],"data":[18446744073709551615,9007199254740993]}]}',
    );

    expect(inputs[0]?.data).toEqual(BigUint64Array.of(18446744073709551615n, 9007199254740993n));
  });

  it('keeps 64-bit integers exact in parameters, and those with an exponent in tensors', () => {
    const { inputs, parameters } = decode(
      '{"parameters":{"sequence_id":18446744073709551615,"far":1e300},"inputs":[{"name":"x","datatype":"UINT64","shape":[1],"data":[1e19]}]}',
    );

    expect(parameters).toEqual({ sequence_id: 18446744073709551615n, far: 1e300 });
    expect(inputs[0]?.data).toEqual(BigUint64Array.of(10n ** 19n));
  });

  it('keeps texts as they are beside integers that need care, however they look', () => {
    const texts = ['9007199254740993', ',9007199254740993,', '\\"1e19', '-1e19'];
    const list = texts.map((text) => `"${text}"`).join(',');
    const { inputs, parameters } = decode(
      `{"parameters":{"far":-9007199254740993,"near":1e3,"text":"1e19"},"inputs":[{"name":"t","datatype":"BYTES","shape":[4],"data":[${list}]},{"name":"x","datatype":"INT64","shape":[2,1],"data":[[9007199254740993],[-1e18]]}]}`,
    );
    const [text, integers] = inputs;

    expect(text?.data).toEqual(texts.map((each) => encoder.encode(each.replace('\\', ''))));
    expect(integers?.data).toEqual(BigInt64Array.of(9007199254740993n, -(10n ** 18n)));
    expect(parameters).toEqual({ far: -9007199254740993n, near: 1000, text: '1e19' });
  });

  it('may hold NaN, the infinities and null where numbers are floating-point', () => {
    const { inputs } = decode(
      '{"id":"NaN Infinity","inputs":[{"name":"x","datatype":"FP32","shape":[5],"data":[NaN,Infinity,-Infinity,null,0.1]}]}',
    );

    expect(inputs[0]?.data).toEqual(
      Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 0.1),
    );
  });

  it.each([
    ['no object', '[]', /not a JSON object/],
    ['cut off', '{"inputs":[', /malformed JSON: it ends too early/],
    ['no inputs', {}, /"inputs"/],
    ['a type that is none', single('FP31', [1], [1]), /datatype "FP31"/],
    ['a lower-case type', single('fp32', [1], [1]), /datatype "fp32"/],
    ['an inherited name as type', single('constructor', [1], [1]), /datatype "constructor"/],
    [
      'a size beyond a double',
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[9007199254740993]},{"name":"y","datatype":"INT8","shape":[18446744073709551615]}]}',
      /"y" holds 18446744073709551615/,
    ],
    ['a negative size', single('FP32', [-1], [1]), /shape of tensor "x" holds -1/],
    ['a shape as text', single('FP32', ['1'], [1]), /shape of tensor "x" holds "1"/],
    ['no shape', single('FP32', undefined, [1]), /needs a shape/],
    ['a huge shape', single('FP32', [2 ** 31 - 1, 2 ** 31 - 1], [1]), /"x" of shape .* takes 18446\d+ bytes; 67108864/],
    ['more elements promised than sent', single('FP32', [10_000_000], [1]), /needs 10000000 elements, but .* 1$/],
    ['rows of other lengths', single('FP32', [2, 2], [[1, 2], [3]]), /not nested as its shape/],
    ['nested otherwise', single('FP32', [2, 2], [[1, 2, 3, 4]]), /needs 2 rows, but .* 1$/],
    ['flat after nested', single('FP32', [2, 1], [[1], 2]), /not nested as its shape/],
    ['text for a number', single('FP32', [1], ['1']), /holds "1", which is no FP32/],
    ['a fraction for an integer', single('INT8', [1], [1.5]), /no INT8/],
    ['an integer out of range', single('UINT8', [1], [256]), /holds 256, which is no UINT8/],
    [
      'a long integer out of range',
      '{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[9223372036854775808]}]}',
      /no INT64/,
    ],
    ['null for an integer', single('INT64', [1], [null]), /holds null/],
    ['half a character', '{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["\\ud8009"]}]}', /no BYTES/],
    [
      'half a character, beside an integer that needs care',
      '{"inputs":[{"name":"i","datatype":"INT64","shape":[1],"data":[9007199254740993]},{"name":"x","datatype":"BYTES","shape":[1],"data":["\\ud8009"]}]}',
      /no BYTES/,
    ],
    ['0 for a truth value', single('BOOL', [1], [0]), /no BOOL/],
    ['half precision in JSON', single('FP16', [1], [1]), /binary tensor extension/],
    [
      'two inputs of one name',
      { inputs: [...single('FP32', [0], []).inputs, ...single('FP32', [0], []).inputs] },
      /same name/,
    ],
    ['a parameter that is a list', { ...single('FP32', [0], []), parameters: { a: [] } }, /parameter "a"/],
    ['an id that is a number', { ...single('FP32', [0], []), id: 1 }, /"id"/],
    [
      'nesting without end',
      `{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":${'['.repeat(200_000)}`,
      /malformed/,
    ],
  ])('is refused with the reason: %s', (_, given, reason) => {
    expect(() => decode(given)).toThrow(reason);
    expect(() => decode(given)).toThrow(InferenceError);
  });

  it.each([
    ['a size beyond the body', 8, 4, /says 8 bytes, but the body has 4 left/],
    ['bytes left over', 4, 8, /4 bytes follow the last tensor/],
    ['a size that the shape does not take', 8, 8, /takes 4 bytes, not 8/],
  ])('with binary tensors is refused for %s', (_, saidBytes, sentBytes, reason) => {
    const json = JSON.stringify({
      inputs: [{ name: 'x', datatype: 'FP32', shape: [1], parameters: { binary_data_size: saidBytes } }],
    });
    const body = encoder.encode(json + '\0'.repeat(sentBytes));

    expect(() => decodeInferRequest(body, String(json.length))).toThrow(reason);
  });

  it('never fails in another way than with a reason', () => {
    const anyBody = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => encoder.encode(text)),
    );
    const anyLength = fc.option(fc.oneof(fc.nat(60).map(String), fc.string()), { nil: undefined });
    fc.assert(
      fc.property(anyBody, anyLength, (body, jsonLength) => {
        try {
          decodeInferRequest(body, jsonLength);
        } catch (error) {
          expect(error).toBeInstanceOf(InferenceError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a body of JSON', () => {
  it.each([
    ['empty lists', '[],'],
    ['one-digit numbers', '0,'],
    ['empty strings', '"",'],
    ['objects', '{},'],
  ])('is refused before it takes far more memory than its size: %s', (_, part) => {
    const body = encoder.encode(`{"inputs":[${part.repeat((64 * 1024 * 1024) / part.length - 10)}0]}`);

    expect(() => decodeInferRequest(body, undefined)).toThrow(
      expect.objectContaining({ code: 'inference/too-large', message: expect.stringContaining('binary tensor') }),
    );
  });

  it('is taken when it holds what numbers and texts usually do', () => {
    const count = 300_000;
    const numbers = Array.from({ length: count }, (_, at) => at / 3);
    const texts = Array.from({ length: count }, (_, at) => `\\"[{${at}`);
    const inputs = [
      single('FP64', [count], numbers).inputs[0],
      { ...single('BYTES', [count], texts).inputs[0], name: 't' },
    ];

    expect(decode({ inputs }).inputs.map(({ data }) => data.length)).toEqual([count, count]);
  });
});

describe('the time that a body takes', () => {
  const length = 2_000_000;

  it.each([
    ['a string of escaped quotes without an end', `"${'\\"'.repeat(length)}`],
    ['the same, after an integer that needs care', `{"a":9007199254740993,"${'\\"'.repeat(length)}`],
    ['quotes', '"'.repeat(length)],
    ['backslashes', `"${'\\'.repeat(length)}`],
    ['NaN', 'NaN '.repeat(length)],
    ['one long number', `{"inputs":${'1'.repeat(length)}}`],
    ['one long fraction', `{"inputs":0.${'1'.repeat(length)}`],
    ['signs', '-'.repeat(length)],
    ['nesting', '['.repeat(length)],
  ])('grows with its length alone: %s', (_, text) => {
    expect(() => decode(text)).toThrow(InferenceError);
  });
});

describe('a raw binary request', () => {
  const x: TensorMetadata = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);

  it('is the only input, whose open dimension follows from the bytes', () => {
    expect(decodeRawRequest(bytes, [x])).toEqual({
      id: undefined,
      parameters: { binary_data_output: true },
      inputs: [{ ...x, shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      outputs: [],
    });
    expect(decodeRawRequest(bytes, [{ ...x, shape: [4] }]).inputs[0]?.shape).toEqual([4]);
    expect(decodeRawRequest(bytes, [{ name: 't', datatype: 'BYTES', shape: [-1] }]).inputs[0]).toEqual({
      name: 't',
      datatype: 'BYTES',
      shape: [1],
      data: [bytes],
    });
  });

  it.each([
    ['two inputs', bytes, [x, x], /2 inputs/],
    ['two open dimensions', bytes, [{ ...x, shape: [-1, -1] }], /at most one -1/],
    ['half a row', bytes.subarray(0, 12), [x], /takes 8 bytes, not 12/],
    ['another size', bytes, [{ ...x, shape: [3] }], /takes 12 bytes, not 16/],
    ['rows without elements', bytes, [{ ...x, shape: [-1, 0] }], /takes 0 bytes, not 16/],
    ['several texts', bytes, [{ name: 't', datatype: 'BYTES', shape: [-1, 2] }], /one element of BYTES/],
  ] as [string, Uint8Array, TensorMetadata[], RegExp][])('is refused for %s', (_, body, inputs, reason) => {
    expect(() => decodeRawRequest(body, inputs)).toThrow(reason);
    expect(() => decodeInferRequest(body, '0')).toThrow(/no JSON/);
  });
});

describe('a tensor of BYTES', () => {
  it('has a bound on its elements, since each takes memory however empty it is', () => {
    const count = 1024 * 1024 + 1;
    const binary = { name: 'x', datatype: 'BYTES', shape: [count], parameters: { binary_data_size: 4 * count } };
    const head = encoder.encode(JSON.stringify({ inputs: [binary] }));
    const body = new Uint8Array(head.length + 4 * count);
    body.set(head);

    expect(() => decodeInferRequest(body, String(head.length))).toThrow(/"x" has 1048577 elements of BYTES/);
    expect(() => decode(single('BYTES', [count], new Array(count).fill('')))).toThrow(/"x" has 1048577 elements/);
  });
});

describe('an inference response', () => {
  const noWishes = { outputs: [], parameters: {} };

  it('comes back as it was, as JSON or as bytes', () => {
    fc.assert(
      fc.property(anyTensor('x', inJson), fc.boolean(), (x, binary) => {
        const response = { modelName: 'm', modelVersion: '1', id: undefined, outputs: [x] };
        const encoded = encodeInferResponse(response, { outputs: [], parameters: { binary_data_output: binary } });

        expect(encoded.jsonLength === undefined).toBe(!binary || elementCount(x.shape) === 0);
        expect(decodeInferResponse(bytesOf(encoded), lengthOf(encoded))).toEqual(response);
      }),
    );
  });

  it('carries parameters, its own and those of its tensors', () => {
    const x: Tensor = {
      name: 'x',
      datatype: 'INT8',
      shape: [1],
      data: Int8Array.of(7),
      parameters: { content_type: 'np' },
    };
    const response = {
      modelName: 'm',
      modelVersion: '1',
      id: undefined,
      outputs: [x],
      parameters: { took: 2n ** 60n },
    };
    for (const binary of [false, true]) {
      const encoded = encodeInferResponse(response, { outputs: [], parameters: { binary_data_output: binary } });

      expect(decodeInferResponse(bytesOf(encoded), lengthOf(encoded))).toEqual(response);
    }
  });

  it('may hold halves as numbers, as some servers write them', () => {
    const data = (datatype: string) =>
      decodeInferResponse(
        encoder.encode(
          JSON.stringify({ outputs: [{ name: 'x', datatype, shape: [4], data: [1, -0.1, 65_504, null] }] }),
        ),
        undefined,
      ).outputs[0]?.data;

    expect(data('FP16')).toEqual(Uint16Array.of(0x3c00, 0xae66, 0x7bff, 0x7e00));
    expect(data('BF16')).toEqual(Uint16Array.of(0x3f80, 0xbdcd, 0x4780, 0x7fc0));
  });

  it('writes what JSON cannot carry as null', () => {
    const x: Tensor = { name: 'x', datatype: 'FP64', shape: [2], data: Float64Array.of(Number.NaN, 1 / 0) };
    const { body } = encodeInferResponse({ modelName: 'm', modelVersion: '1', id: 'a', outputs: [x] }, noWishes);

    expect(JSON.parse(String(body))).toEqual({
      model_name: 'm',
      model_version: '1',
      id: 'a',
      outputs: [{ name: 'x', datatype: 'FP64', shape: [2], data: [null, null] }],
    });
  });

  it('sends a listed output as bytes only when that output asks for it', () => {
    const x: Tensor = { name: 'x', datatype: 'INT8', shape: [1], data: Int8Array.of(7) };
    const response = { modelName: 'm', modelVersion: '1', id: undefined, outputs: [x] };
    const asked = (binary: boolean) => ({
      outputs: [{ name: 'x', parameters: { binary_data: binary } }],
      parameters: { binary_data_output: true },
    });

    expect(encodeInferResponse(response, asked(true)).jsonLength).toBeGreaterThan(0);
    expect(encodeInferResponse(response, asked(false)).jsonLength).toBeUndefined();
  });
});
