import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeV1Request, encodeV1Response, type Tensor, type TensorMetadata } from './index.ts';

const encoder = new TextEncoder();
const table: TensorMetadata = { name: 'input-0', datatype: 'FP32', shape: [-1, 2] };
const decode = (request: unknown, inputs: readonly TensorMetadata[] = [table], features?: readonly string[]) =>
  decodeV1Request(encoder.encode(typeof request === 'string' ? request : JSON.stringify(request)), inputs, features);

describe('a V1 request', () => {
  it.each([
    [
      'lists',
      {
        instances: [
          [1, 2],
          [3, null],
        ],
      },
      undefined,
    ],
    [
      '"inputs" for "instances"',
      {
        inputs: [
          [1, 2],
          [3, null],
        ],
      },
      undefined,
    ],
    ['bare NaN', '{"instances":[[1,2],[3,NaN]]}', undefined],
    [
      'objects by feature',
      {
        instances: [
          { b: 2, a: 1 },
          { a: 3, b: null },
        ],
      },
      ['a', 'b'],
    ],
    ['objects by input', { instances: [{ 'input-0': [1, 2] }, { 'input-0': [3, null] }] }, undefined],
  ])('becomes a tensor: rows as %s', (_, request, features) => {
    expect(decode(request, [table], features)).toEqual([
      { name: 'input-0', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, Number.NaN) },
    ]);
  });

  it('may give one number per row to a model with one column', () => {
    expect(decode({ instances: [1, 2] }, [{ ...table, shape: [-1, 1] }])[0]?.shape).toEqual([2, 1]);
  });

  it('gives each input of a model its part of the rows', () => {
    const inputs: TensorMetadata[] = [
      { name: 'id', datatype: 'INT64', shape: [-1] },
      { name: 'text', datatype: 'BYTES', shape: [-1, 1] },
    ];
    const [id, text] = decode('{"instances":[{"id":9007199254740993,"text":["a"]}]}', inputs);

    expect(id?.data).toEqual(BigInt64Array.of(9007199254740993n));
    expect(text).toEqual({ name: 'text', datatype: 'BYTES', shape: [1, 1], data: [encoder.encode('a')] });
  });

  it.each([
    ['no rows', {}, /"instances"/],
    ['rows that are no list', { instances: 1 }, /"instances"/],
    ['an empty list', { instances: [] }, /empty/],
    ['rows of different lengths', { instances: [[1, 2], [3]] }, /not nested/],
    ['an object among lists', { instances: [[1, 2], { a: 1 }] }, /not nested/],
    ['a list among objects', { instances: [{ a: 1, b: 2 }, [1, 2]] }, /row 1 is no object/],
    ['a missing feature', { instances: [{ a: 1 }] }, /row 0 has no "b"/],
    ['an unknown feature', { instances: [{ a: 1, b: 2, c: 3 }] }, /row 0 has "c"/],
    ['text for a number', { instances: [[1, 'x']] }, /holds "x"/],
  ])('is refused with the reason: %s', (_, request, reason) => {
    expect(() => decode(request, [table], ['a', 'b'])).toThrow(reason);
  });

  it.each(['FP16', 'BF16'] as const)(
    'takes %s as numbers and gives them so, since V1 has no other form',
    (datatype) => {
      const numbers = fc.array(fc.constantFrom(0, 1, -2, 0.5, 1.5, 256, -0.0078125, null), {
        minLength: 1,
        maxLength: 4,
      });
      fc.assert(
        fc.property(numbers, (instances) => {
          const inputs = decode({ instances }, [{ name: 'x', datatype, shape: [-1] }]);

          expect(JSON.parse(encodeV1Response(inputs))).toEqual({ predictions: instances });
        }),
      );
    },
  );

  it('asks for objects where a model has several inputs', () => {
    expect(() => decode({ instances: [[1]] }, [table, { ...table, name: 'other' }])).toThrow(/"input-0", "other"/);
  });
});

describe('a V1 answer', () => {
  const label: Tensor = {
    name: 'label',
    datatype: 'BYTES',
    shape: [2],
    data: ['a', 'b'].map((t) => encoder.encode(t)),
  };
  const scores: Tensor = { name: 'scores', datatype: 'FP64', shape: [2, 2], data: Float64Array.of(1, 0, 0, 1) };

  it('has the rows of the only output', () => {
    expect(JSON.parse(encodeV1Response([scores]))).toEqual({
      predictions: [
        [1, 0],
        [0, 1],
      ],
    });
    expect(JSON.parse(encodeV1Response([label]))).toEqual({ predictions: ['a', 'b'] });
  });

  it('has an object per row for several outputs', () => {
    expect(JSON.parse(encodeV1Response([label, scores]))).toEqual({
      predictions: [
        { label: 'a', scores: [1, 0] },
        { label: 'b', scores: [0, 1] },
      ],
    });
  });

  it('has whole outputs where they do not share their rows', () => {
    const total: Tensor = { name: 'total', datatype: 'INT64', shape: [], data: BigInt64Array.of(2n ** 60n) };

    expect(encodeV1Response([label, total])).toBe('{"predictions":{"label":["a","b"],"total":1152921504606846976}}');
  });
});
