import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeGrpcRequest,
  decodeGrpcResponse,
  encodeGrpcRequest,
  encodeGrpcResponse,
  ModelInferRequestSchema,
} from './grpc.ts';
import { dataTypes, InferenceError, type InferRequest, layoutOf, type Tensor } from './index.ts';
import { anyTensor } from './testing/any-tensor.ts';

const typable = dataTypes.filter((datatype) => layoutOf(datatype).kind !== 'half');
/** Integers that a double cannot hold. */
const exact = [2n ** 53n + 1n, 2n ** 64n - 1n, -(2n ** 63n)];
const parameters = fc.dictionary(
  fc
    .string()
    .filter((key) => key !== '__proto__' && key.isWellFormed() && !/^shared_memory|^classification$/.test(key)),
  fc.oneof(
    fc.boolean(),
    fc.string(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(-0, ...exact),
  ),
  { noNullPrototype: true, maxKeys: 4 },
);
const message = (init: MessageInitShape<typeof ModelInferRequestSchema>) =>
  toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));
const decode = (init: MessageInitShape<typeof ModelInferRequestSchema>) => decodeGrpcRequest(message(init));

function anyRequest(types: typeof dataTypes): fc.Arbitrary<InferRequest> {
  return fc.record({
    id: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    parameters,
    inputs: fc.tuple(anyTensor('x', types), anyTensor('y', types)),
    outputs: fc.array(fc.record({ name: fc.string(), parameters }), { maxLength: 2 }),
  });
}

describe('an inference request over gRPC', () => {
  it.each([
    ['raw', dataTypes],
    ['typed', typable],
  ] as const)('comes back as it was, with %s contents', (form, types) => {
    fc.assert(
      fc.property(anyRequest(types), fc.constantFrom(undefined, '7'), (request, modelVersion) => {
        const whole = { modelName: 'm', modelVersion, request, form };

        expect(decodeGrpcRequest(encodeGrpcRequest(whole))).toEqual(whole);
      }),
    );
  });

  it('holds every bit pattern of a number, raw and typed', () => {
    const data = Float64Array.of(-0, Number.NaN, Number.NEGATIVE_INFINITY, 5e-324, 0.1);
    const x: Tensor = { name: 'x', datatype: 'FP64', shape: [5], data };
    for (const form of ['raw', 'typed'] as const) {
      const request = { id: undefined, parameters: {}, inputs: [x], outputs: [] };
      const [back] = decodeGrpcRequest(encodeGrpcRequest({ modelName: 'm', modelVersion: undefined, request, form }))
        .request.inputs;

      expect(back?.data).toStrictEqual(data);
    }
  });

  it('refuses what is wrong, with the tensor and what was expected', () => {
    const x = { name: 'x', datatype: 'FP32', shape: [2n] };
    const cases: [MessageInitShape<typeof ModelInferRequestSchema>, RegExp][] = [
      [{ inputs: [{ ...x, datatype: 'fp32' }] }, /"x" has datatype "fp32"/],
      [{ inputs: [{ ...x, shape: [-1n] }] }, /shape of tensor "x" holds -1/],
      [{ inputs: [{ ...x, shape: [2n ** 40n, 2n ** 40n] }] }, /shape of tensor "x"/],
      [{ inputs: [{ ...x, shape: [2n ** 30n] }] }, /"x" of shape \[1073741824\] takes 4294967296 bytes; 67108864 /],
      [{ inputs: [x] }, /"x" of shape \[2\] needs 2 elements, but its contents have 0/],
      [
        { inputs: [{ ...x, contents: { fp64Contents: [1, 2] } }] },
        /"x" of type FP32 takes fp32_contents, not fp64_con/,
      ],
      [{ inputs: [{ ...x, contents: { fp32Contents: [1, 2], boolContents: [true] } }] }, /not bool_contents/],
      [{ inputs: [{ ...x, datatype: 'UINT8', contents: { uintContents: [1, 256] } }] }, /"x" holds 256.*UINT8/],
      [{ inputs: [{ ...x, datatype: 'INT16', contents: { intContents: [-32_769, 1] } }] }, /"x" holds -32769/],
      [{ inputs: [{ ...x, datatype: 'BF16', contents: { fp32Contents: [1, 2] } }] }, /BF16 has no typed contents/],
      [{ inputs: [x], rawInputContents: [new Uint8Array(7)] }, /takes 8 bytes, not 7/],
      [{ inputs: [x, { ...x, name: 'y' }], rawInputContents: [new Uint8Array(8)] }, /2 tensors, but 1 raw contents/],
      [{ inputs: [{ ...x, contents: { fp32Contents: [1] } }], rawInputContents: [new Uint8Array(8)] }, /beside raw/],
      [{ inputs: [x, x], rawInputContents: [new Uint8Array(8), new Uint8Array(8)] }, /two inputs have the same name/],
      [{ parameters: { a: {} } }, /parameter "a" has no value/],
      [{ parameters: { a: { parameterChoice: { case: 'doubleParam', value: 1 / 0 } } } }, /"a" is Infinity; a finite/],
    ];

    for (const [init, reason] of cases) expect(() => decode(init)).toThrow(reason);
  });

  it('names extensions that are not supported as such', () => {
    const one = { parameterChoice: { case: 'int64Param' as const, value: 1n } };
    const shared = { inputs: [{ name: 'x', parameters: { shared_memory_byte_size: one } }] };

    for (const init of [shared, { outputs: [{ name: 'y', parameters: { classification: one } }] }])
      expect(() => decode(init)).toThrow(expect.objectContaining({ code: 'inference/unsupported' }));
  });

  it('is refused when it would take far more memory than its size', () => {
    const shape = new Array<bigint>(5 * 1024 * 1024).fill(1n);
    const inputs = new Array(100_000).fill({});

    for (const init of [{ inputs: [{ name: 'x', shape }] }, { inputs }])
      expect(() => decode(init)).toThrow(expect.objectContaining({ code: 'inference/too-large' }));
  });

  it('fails cleanly, whatever the bytes are', () => {
    const request: InferRequest = {
      id: 'a',
      parameters: { p: 1.5 },
      inputs: [{ name: 'x', datatype: 'INT64', shape: [2], data: BigInt64Array.of(1n, -1n) }],
      outputs: [{ name: 'y', parameters: {} }],
    };
    const good = encodeGrpcRequest({ modelName: 'm', modelVersion: '1', request, form: 'typed' });
    const damaged = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((edits) => {
        const bytes = good.slice();
        for (const [at, value] of edits) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
        try {
          decodeGrpcRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InferenceError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('an inference response over gRPC', () => {
  it('comes back as it was, and is raw where a type has no other form', () => {
    fc.assert(
      fc.property(
        fc.tuple(anyTensor('x', dataTypes), anyTensor('y', dataTypes)),
        fc.constantFrom('raw', 'typed'),
        (outputs, form) => {
          const said = { parameters: { triton_final_response: true } };
          const all = outputs.map((output) => ({ ...output, ...said }));
          const response = { modelName: 'm', modelVersion: '1', id: 'a', outputs: all, ...said };

          expect(decodeGrpcResponse(encodeGrpcResponse(response, form))).toEqual(response);
        },
      ),
    );
  });
});
