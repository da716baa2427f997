import type { MessageInitShape } from '@bufbuild/protobuf';
import { bytesFromTensor, tensorFromBytes } from './binary.ts';
import { type DataType, isDataType, layoutOf, type TensorData } from './data-type.ts';
import { invalid } from './errors.ts';
import type { InferTensorContents, InferTensorContentsSchema } from './gen/inference_pb.js';
import type { Limits } from './limits.ts';
import { elementCount, parseShape, shapeText, type Tensor } from './tensor.ts';

/** Elements as one bytes value per tensor, or as lists of numbers, booleans or bytes. */
export type ContentsForm = 'raw' | 'typed';

type ContentsField = Exclude<keyof InferTensorContents, '$typeName' | '$unknown'>;

const fields: Readonly<Record<DataType, ContentsField | undefined>> = {
  BOOL: 'boolContents',
  UINT8: 'uintContents',
  UINT16: 'uintContents',
  UINT32: 'uintContents',
  UINT64: 'uint64Contents',
  INT8: 'intContents',
  INT16: 'intContents',
  INT32: 'intContents',
  INT64: 'int64Contents',
  FP16: undefined,
  BF16: undefined,
  FP32: 'fp32Contents',
  FP64: 'fp64Contents',
  BYTES: 'bytesContents',
};

const allFields = [...new Set(Object.values(fields))].filter((field) => field !== undefined);

/** A tensor as both messages have it. */
export type TensorMessage = {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly bigint[];
  readonly contents?: InferTensorContents | undefined;
};

/** `raw` holds the elements where the message uses raw contents at all. */
export function tensorFromMessage(
  { name, datatype, shape, contents }: TensorMessage,
  raw: Uint8Array | undefined,
  limits: Limits,
): Tensor {
  if (!isDataType(datatype))
    throw invalid(`tensor "${name}" has datatype ${JSON.stringify(datatype)}; try FP32, INT64 or BYTES`);
  const sizes = parseShape(shape.map(Number), name, datatype, limits);
  if (raw === undefined) return tensorFromContents(name, datatype, sizes, contents);
  if (contents !== undefined && allFields.some((field) => contents[field].length > 0))
    throw invalid(`tensor "${name}" has contents beside raw contents`);
  return tensorFromBytes(name, datatype, sizes, raw);
}

function tensorFromContents(
  name: string,
  datatype: DataType,
  shape: readonly number[],
  contents: InferTensorContents | undefined,
): Tensor {
  const field = fields[datatype];
  if (field === undefined) throw invalid(`tensor "${name}": ${datatype} has no typed contents; send raw contents`);
  const other = contents && allFields.find((candidate) => candidate !== field && contents[candidate].length > 0);
  if (other !== undefined)
    throw invalid(`tensor "${name}" of type ${datatype} takes ${wireName(field)}, not ${wireName(other)}`);
  const values = contents?.[field] ?? [];
  if (values.length !== elementCount(shape))
    throw invalid(
      `tensor "${name}" of shape ${shapeText(shape)} needs ${elementCount(shape)} elements, but its contents have ${values.length}`,
    );
  return { name, datatype, shape, data: dataFrom(name, datatype, values) };
}

function dataFrom(name: string, datatype: DataType, values: InferTensorContents[ContentsField]): TensorData {
  const { kind, create, min, max } = layoutOf(datatype);
  if (kind === 'bytes') return values as readonly Uint8Array[];
  if (kind === 'integer') {
    const [low, high] = [Number(min), Number(max)];
    const wrong = (values as readonly number[]).find((value) => value < low || value > high);
    if (wrong !== undefined) throw invalid(`tensor "${name}" holds ${wrong}, which is no ${datatype} value`);
  }
  const target = create(values.length) as Float64Array;
  target.set(values as readonly number[]);
  return target;
}

/** Whether these tensors can all be written as typed contents. */
export function areTypable(tensors: readonly Tensor[]): boolean {
  return tensors.every(({ datatype }) => fields[datatype] !== undefined);
}

/** The message's fields, without its elements if they are to go into raw contents. */
export function messageFromTensor(tensor: Tensor, form: ContentsForm) {
  const { name, datatype, shape } = tensor;
  const head = { name, datatype, shape: shape.map(BigInt) };
  return form === 'raw' ? head : { ...head, contents: contentsFrom(tensor) };
}

export function rawFrom(tensors: readonly Tensor[], form: ContentsForm): Uint8Array[] {
  return form === 'raw' ? tensors.map(bytesFromTensor) : [];
}

function contentsFrom({ name, datatype, data }: Tensor): MessageInitShape<typeof InferTensorContentsSchema> {
  const field = fields[datatype];
  if (field === undefined) throw invalid(`tensor "${name}": ${datatype} has no typed contents`);
  const values =
    datatype === 'BOOL'
      ? Array.from(data as Uint8Array, (value) => value !== 0)
      : Array.from<unknown>(data as Uint8Array);
  return { [field]: values };
}

/** `fp32Contents` is `fp32_contents` in the protocol's documents. */
function wireName(field: ContentsField): string {
  return field.replace('Contents', '_contents');
}
