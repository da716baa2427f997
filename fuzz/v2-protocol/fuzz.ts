import { deepStrictEqual } from 'node:assert';
import {
  decodeInferRequest,
  decodeInferResponse,
  decodeV1Request,
  type Encoded,
  elementCount,
  encodeInferRequest,
  encodeInferResponse,
  encodeV1Response,
  InferenceError,
  type InferRequest,
  type InferResponse,
  type Tensor,
  type TensorMetadata,
} from '@roundhouse/v2-protocol';
import {
  decodeGrpcRequest,
  decodeGrpcResponse,
  encodeGrpcRequest,
  encodeGrpcResponse,
} from '@roundhouse/v2-protocol/grpc';
import type { Target, TargetGroup } from '../frame/target.ts';

const encoder = new TextEncoder();
const bytesOf = ({ body }: Encoded) => (typeof body === 'string' ? encoder.encode(body) : body);
const lengthOf = ({ jsonLength }: Encoded) => (jsonLength === undefined ? undefined : String(jsonLength));

/** Elements that one byte of input may become: a varint becomes 8 bytes, an object of BYTES is counted as its bytes. */
const growthMax = 8;

const tensors: readonly Tensor[] = [
  { name: 'f', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(0.5, -1, 3e38, 0) },
  { name: 'd', datatype: 'FP64', shape: [1], data: Float64Array.of(0.1) },
  { name: 'i', datatype: 'INT64', shape: [2, 1], data: BigInt64Array.of(2n ** 62n, -1n) },
  { name: 'u', datatype: 'UINT64', shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  { name: 's', datatype: 'INT8', shape: [3], data: Int8Array.of(-128, 0, 127) },
  { name: 'b', datatype: 'BOOL', shape: [2], data: Uint8Array.of(0, 1) },
  { name: 't', datatype: 'BYTES', shape: [1, 2], data: [encoder.encode('a'), encoder.encode('é😀')] },
  { name: 'e', datatype: 'UINT16', shape: [0, 3], data: new Uint16Array(0) },
];
const half: Tensor = { name: 'h', datatype: 'FP16', shape: [2], data: Uint16Array.of(0x3c00, 0x7e00) };

const requestOf = (inputs: readonly Tensor[]): InferRequest => ({
  id: 'seven',
  parameters: { priority: 1, ok: true, text: 'a', part: 0.5 },
  inputs,
  outputs: [{ name: 'y', parameters: { binary_data: false } }],
});
const responseOf = (outputs: readonly Tensor[]): InferResponse => ({
  modelName: 'm',
  modelVersion: '1',
  id: undefined,
  outputs,
});

/** Refusals are expected; anything else that is thrown is a finding. */
function decoded<T>(decode: () => T, check: (value: T) => string): string {
  let value: T;
  try {
    value = decode();
  } catch (error) {
    if (!(error instanceof InferenceError) || error.code === 'inference/failed') throw error;
    if (error.message.length > 2_000 && !error.message.includes('"')) throw new Error('the refusal is very long');
    return `${error.code}: ${error.message}`;
  }
  return check(value);
}

function checkTensors(all: readonly Tensor[], inputBytes: number): string {
  let bytes = 0;
  for (const { name, shape, data } of all) {
    if (data.length !== elementCount(shape)) throw new Error(`tensor ${name} has ${data.length} elements for ${shape}`);
    bytes += Array.isArray(data)
      ? data.reduce((sum, element) => sum + element.length, 0)
      : (data as Uint8Array).byteLength;
  }
  if (bytes > growthMax * inputBytes) throw new Error(`${inputBytes} bytes became ${bytes} bytes of tensors`);
  return `taken: ${all.map(({ datatype, shape }) => `${datatype}/${shape.length}`).join(' ')}`;
}

/** Everything but -0, which JSON text of integers has and typed arrays of integers do not. */
function same(actual: unknown, expected: unknown) {
  deepStrictEqual(actual, expected);
}

/** What was taken can be written again in the form that keeps all bits, and reads the same. */
function checkRequest(request: InferRequest, inputBytes: number): string {
  const form = 'raw' as const;
  const again = decodeGrpcRequest(encodeGrpcRequest({ modelName: 'm', modelVersion: undefined, request, form }));
  same(again.request.inputs, request.inputs);
  const sized = request.inputs.filter(({ shape }) => elementCount(shape) > 0).map(({ name }) => name);
  const rest = request.inputs.filter(({ datatype }) => datatype !== 'FP16' && datatype !== 'BF16');
  const inputs = sized.length === request.inputs.length ? request.inputs : rest;
  const encoded = encodeInferRequest({ ...request, inputs }, new Set(sized));
  same(decodeInferRequest(bytesOf(encoded), lengthOf(encoded)).inputs, inputs);
  return checkTensors(request.inputs, inputBytes);
}

const json: Target = {
  name: 'json',
  seeds: () => [
    ...tensors.map((tensor) => bytesOf(encodeInferRequest(requestOf([tensor])))),
    bytesOf(encodeInferRequest(requestOf(tensors))),
    encoder.encode('{"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[[1,NaN],[Infinity,null]]}]}'),
  ],
  words: jsonWords(),
  run: (input) =>
    decoded(
      () => decodeInferRequest(input, undefined),
      (request) => checkRequest(request, input.length),
    ),
};

function jsonWords(): string[] {
  const names = ['inputs', 'outputs', 'name', 'shape', 'datatype', 'data', 'parameters', 'id', 'binary_data_size'];
  const types = ['FP16', 'BF16', 'FP32', 'INT64', 'BYTES', 'BOOL'];
  const marks = ['[', ']', '{', '}', '[[', '"', '\\', ',', ':', 'null', 'true', 'NaN', '-Infinity', '\\ud800', '\xff'];
  return [...[...names, ...types, '__proto__', 'constructor'].map((word) => `"${word}"`), ...marks];
}

/** The header's value, a line feed, the body. */
const binary: Target = {
  name: 'binary',
  seeds: () =>
    [[half], tensors.slice(0, 4), [...tensors.slice(4, 7), half]].map((inputs) => {
      const encoded = encodeInferRequest(requestOf(inputs), new Set(inputs.map(({ name }) => name)));
      return new Uint8Array(Buffer.concat([encoder.encode(`${lengthOf(encoded)}\n`), bytesOf(encoded)]));
    }),
  words: ['"binary_data_size":', '"shape":[0]', '\n', '0\n', '"shared_memory_region"', '\0\0\0\0', '\xff\xff\xff\xff'],
  run(input) {
    const end = Math.max(0, input.indexOf(10));
    const header = Buffer.from(input.subarray(0, end)).toString('latin1');
    return decoded(
      () => decodeInferRequest(input.subarray(end + 1), header === 'none' ? undefined : header),
      (request) => checkRequest(request, input.length),
    );
  },
};

const grpc: Target = {
  name: 'grpc',
  seeds: () =>
    (['raw', 'typed'] as const).flatMap((form) =>
      [tensors, ...tensors.map((tensor) => [tensor])].map((inputs) =>
        encodeGrpcRequest({ modelName: 'm', modelVersion: '1', request: requestOf(inputs), form }),
      ),
    ),
  words: ['FP32', 'INT64', 'BYTES', 'UINT8', 'FP16', '\x2a', '\x3a', '\x32', '\x0a\x00', '\x80\x80\x80\x80\x80\x01'],
  run: (input) =>
    decoded(
      () => decodeGrpcRequest(input),
      ({ request }) => checkRequest(request, input.length),
    ),
};

const response: Target = {
  name: 'response',
  seeds: () =>
    [[tensors[0] as Tensor], tensors].flatMap((outputs) => [
      bytesOf(encodeInferResponse(responseOf(outputs), { outputs: [], parameters: {} })),
      encodeGrpcResponse(responseOf(outputs), 'raw'),
      encodeGrpcResponse(responseOf(outputs), 'typed'),
    ]),
  words: jsonWords(),
  run: (input) =>
    decoded(
      () => (input[0] === 0x7b ? decodeInferResponse(input, undefined) : decodeGrpcResponse(input)),
      ({ outputs }) => checkTensors(outputs, input.length),
    ),
};

const v1Models: readonly (readonly TensorMetadata[])[] = [
  [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  [{ name: 'x', datatype: 'BYTES', shape: [-1] }],
  [
    { name: 'x', datatype: 'INT64', shape: [-1, 1] },
    { name: 'y', datatype: 'BOOL', shape: [-1] },
  ],
];

/** The first byte picks the model that is asked. */
const v1: Target = {
  name: 'v1',
  seeds: () =>
    [
      '0{"instances":[[1,2],[3,null]]}',
      '0{"instances":[{"a":1,"b":2}]}',
      '0{"inputs":[[1.5,NaN]]}',
      '1{"instances":["a","b"]}',
      '2{"instances":[{"x":[9007199254740993],"y":true}]}',
    ].map((text) => encoder.encode(text)),
  words: [...jsonWords(), '"instances"', '"x"', '"a"'],
  run: (input) =>
    decoded(
      () => decodeV1Request(input.subarray(1), v1Models[(input[0] ?? 0) % 3] ?? [], ['a', 'b']),
      (inputs) => {
        JSON.parse(encodeV1Response(inputs));
        return checkTensors(inputs, input.length);
      },
    ),
};

export const group: TargetGroup = {
  summary: 'requests and responses of V1 and V2, over REST and gRPC',
  targets: [json, binary, grpc, response, v1],
};
