/** Tensor elements as JavaScript keeps them; FP16 and BF16 are bit patterns, BOOL is 0 or 1, BYTES one array per element. */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly Uint8Array[];

type Layout = {
  readonly kind: 'bool' | 'integer' | 'big-integer' | 'float' | 'half' | 'bytes';
  /** Bytes of one element; 0 where each element has its own length. */
  readonly sizeBytes: number;
  readonly create: (source: number | ArrayBuffer) => Exclude<TensorData, readonly Uint8Array[]>;
  readonly min: bigint;
  readonly max: bigint;
};

const signed = (bits: bigint) => ({ min: -(1n << (bits - 1n)), max: (1n << (bits - 1n)) - 1n });
const unsigned = (bits: bigint) => ({ min: 0n, max: (1n << bits) - 1n });
const none = { min: 0n, max: 0n };

/** A number is a length, a buffer is the elements themselves: typed arrays take either. */
const layouts = {
  BOOL: { kind: 'bool', sizeBytes: 1, create: (s) => new Uint8Array(s as number), ...none },
  UINT8: { kind: 'integer', sizeBytes: 1, create: (s) => new Uint8Array(s as number), ...unsigned(8n) },
  UINT16: { kind: 'integer', sizeBytes: 2, create: (s) => new Uint16Array(s as number), ...unsigned(16n) },
  UINT32: { kind: 'integer', sizeBytes: 4, create: (s) => new Uint32Array(s as number), ...unsigned(32n) },
  UINT64: { kind: 'big-integer', sizeBytes: 8, create: (s) => new BigUint64Array(s as number), ...unsigned(64n) },
  INT8: { kind: 'integer', sizeBytes: 1, create: (s) => new Int8Array(s as number), ...signed(8n) },
  INT16: { kind: 'integer', sizeBytes: 2, create: (s) => new Int16Array(s as number), ...signed(16n) },
  INT32: { kind: 'integer', sizeBytes: 4, create: (s) => new Int32Array(s as number), ...signed(32n) },
  INT64: { kind: 'big-integer', sizeBytes: 8, create: (s) => new BigInt64Array(s as number), ...signed(64n) },
  FP16: { kind: 'half', sizeBytes: 2, create: (s) => new Uint16Array(s as number), ...none },
  BF16: { kind: 'half', sizeBytes: 2, create: (s) => new Uint16Array(s as number), ...none },
  FP32: { kind: 'float', sizeBytes: 4, create: (s) => new Float32Array(s as number), ...none },
  FP64: { kind: 'float', sizeBytes: 8, create: (s) => new Float64Array(s as number), ...none },
  BYTES: { kind: 'bytes', sizeBytes: 0, create: () => new Uint8Array(0), ...none },
} as const satisfies Record<string, Layout>;

export type DataType = keyof typeof layouts;

export const dataTypes = Object.keys(layouts) as readonly DataType[];

export function layoutOf(datatype: DataType): Layout {
  return layouts[datatype];
}

export function isDataType(text: unknown): text is DataType {
  return typeof text === 'string' && Object.hasOwn(layouts, text);
}
