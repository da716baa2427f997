import fc from 'fast-check';
import { type DataType, elementCount, layoutOf, type Tensor } from '../index.ts';

const encoder = new TextEncoder();

function anyElements(datatype: DataType, count: number): fc.Arbitrary<Tensor['data']> {
  const { kind, create, min, max, sizeBytes } = layoutOf(datatype);
  const list = <T>(element: fc.Arbitrary<T>) => fc.array(element, { minLength: count, maxLength: count });
  if (kind === 'bytes') return list(fc.string().map((text) => encoder.encode(text)));
  const fill = (values: readonly (number | bigint)[]) => {
    const target = create(count) as Float64Array;
    target.set(values as number[]);
    return target;
  };
  if (kind === 'big-integer') return list(fc.bigInt({ min, max })).map(fill);
  if (kind === 'float') {
    const element = sizeBytes === 4 ? fc.float({ noDefaultInfinity: true }) : fc.double({ noDefaultInfinity: true });
    return list(element.map((value) => (Object.is(value, -0) ? 0 : value))).map(fill);
  }
  const [low, high] = kind === 'half' ? [0, 65_535] : kind === 'bool' ? [0, 1] : [Number(min), Number(max)];
  return list(fc.integer({ min: low, max: high })).map(fill);
}

/** A small tensor of one of these types; -0 is left out, since JSON has none. */
export const anyTensor = (name: string, types: readonly DataType[]): fc.Arbitrary<Tensor> =>
  fc
    .tuple(fc.constantFrom(...types), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }))
    .chain(([datatype, shape]) =>
      anyElements(datatype, elementCount(shape)).map((data) => ({ name, datatype, shape, data })),
    );
