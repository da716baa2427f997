import { bytesFromTensor, tensorFromBytes } from './binary.ts';
import { isDataType, layoutOf } from './data-type.ts';
import { elementsToJson, tensorFromJson } from './elements.ts';
import { InferenceError, invalid } from './errors.ts';
import { decodeJson, InexactInteger, isRecord, preview, textOf } from './json.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { elementCount, type Parameters, parseShape, shapeText, type Tensor, type TensorMetadata } from './tensor.ts';

export type RequestedOutput = { readonly name: string; readonly parameters: Parameters };

export type InferRequest = {
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: readonly Tensor[];
  /** Empty: all outputs are wanted. */
  readonly outputs: readonly RequestedOutput[];
};

export type InferResponse = {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string | undefined;
  readonly outputs: readonly Tensor[];
  readonly parameters?: Parameters;
};

/** A body and, when tensors follow the JSON as bytes, the length for the header `inference-header-content-length`. */
export type Encoded = { readonly body: string | Uint8Array; readonly jsonLength: number | undefined };

/** The header that marks a body with binary tensors; its value is the length of the JSON part. */
export const jsonLengthHeader = 'inference-header-content-length';

/** Decodes the body of `POST /v2/models/M/infer`; `jsonLength` is the value of `jsonLengthHeader`, if it was sent. */
export function decodeInferRequest(
  body: Uint8Array,
  jsonLength: string | undefined,
  limits: Limits = defaultLimits,
): InferRequest {
  const { text, reader } = split(body, jsonLength);
  const decode = (value: unknown) => {
    reader.at = 0;
    if (!isRecord(value)) throw invalid('the request is not a JSON object');
    if (!Array.isArray(value.inputs)) throw invalid('the request needs "inputs", an array of tensors');
    const inputs = value.inputs.map((input: unknown) => decodeTensor(input, reader, 'input', limits));
    refuseTwins(inputs);
    reader.end();
    return {
      id: decodeId(value.id),
      parameters: decodeParameters(value.parameters),
      inputs,
      outputs: decodeRequestedOutputs(value.outputs),
    };
  };
  return decodeJson(text, decode, limits);
}

/** Whether the body is nothing but the bytes of the model's only input: a raw binary request. */
export function isRawRequest(jsonLength: string | undefined): boolean {
  return jsonLength === '0';
}

/**
 * Decodes the body of a raw binary request to a model with these inputs: its one dimension of any size follows from the number of
 * bytes, and all outputs are wanted as bytes. BYTES are one element, without its length.
 */
export function decodeRawRequest(
  body: Uint8Array,
  inputs: readonly TensorMetadata[],
  limits: Limits = defaultLimits,
): InferRequest {
  const [input, second] = inputs;
  if (input === undefined || second !== undefined)
    throw invalid(`the model has ${inputs.length} inputs; a body without JSON is for models with one`);
  const { name, datatype } = input;
  const shape = parseShape(rawShape(input, body.length), name, datatype, limits);
  const isText = layoutOf(datatype).kind === 'bytes';
  const tensor = isText
    ? { name, datatype, shape, data: [new Uint8Array(body)] }
    : tensorFromBytes(name, datatype, shape, body);
  return { id: undefined, parameters: { binary_data_output: true }, inputs: [tensor], outputs: [] };
}

function rawShape({ name, datatype, shape }: TensorMetadata, sizeBytes: number): number[] {
  const { kind, sizeBytes: elementBytes } = layoutOf(datatype);
  const isOpen = (size: number) => size < 0;
  if (kind === 'bytes' && elementCount(shape.map((size) => (isOpen(size) ? 1 : size))) !== 1)
    throw invalid(`input "${name}" takes ${shapeText(shape)}; a body without JSON is one element of BYTES`);
  if (kind !== 'bytes' && shape.filter(isOpen).length > 1)
    throw invalid(`input "${name}" takes ${shapeText(shape)}; a body without JSON is for at most one -1`);
  const rowBytes = elementBytes * elementCount(shape.filter((size) => !isOpen(size)));
  // What is no whole number of rows is refused for its size.
  const open = kind === 'bytes' ? 1 : rowBytes === 0 ? 0 : Math.floor(sizeBytes / rowBytes);
  return shape.map((size) => (isOpen(size) ? open : size));
}

/** Decodes what `encodeInferResponse` and other servers write; `model_version` and `id` may be missing there. */
export function decodeInferResponse(
  body: Uint8Array,
  jsonLength: string | undefined,
  limits: Limits = defaultLimits,
): InferResponse {
  const { text, reader } = split(body, jsonLength);
  const decode = (value: unknown) => {
    reader.at = 0;
    if (!isRecord(value) || !Array.isArray(value.outputs)) throw invalid('the response has no "outputs"');
    const outputs = value.outputs.map((output: unknown) => decodeTensor(output, reader, 'output', limits));
    reader.end();
    return {
      modelName: typeof value.model_name === 'string' ? value.model_name : '',
      modelVersion: typeof value.model_version === 'string' ? value.model_version : '',
      id: decodeId(value.id),
      outputs,
      ...parametersOrNothing(decodeParameters(value.parameters)),
    };
  };
  return decodeJson(text, decode, limits);
}

/** The bytes after the JSON part, taken in the order in which tensors name their size. */
type BinaryReader = { at: number; take(sizeBytes: number, tensor: string): Uint8Array; end(): void };

function split(body: Uint8Array, jsonLength: string | undefined): { text: string; reader: BinaryReader } {
  const length = jsonLength === undefined ? body.length : Number(jsonLength);
  if (jsonLength !== undefined && (!/^\d{1,15}$/.test(jsonLength) || length > body.length))
    throw invalid(`${jsonLengthHeader} is ${JSON.stringify(jsonLength)}, but the body has ${body.length} bytes`);
  if (length === 0 && body.length > 0)
    throw invalid('the body has no JSON, which only a model with one input can take');
  const binary = body.subarray(length);
  const reader: BinaryReader = {
    at: 0,
    take(sizeBytes, tensor) {
      if (sizeBytes > binary.length - reader.at)
        throw invalid(`tensor "${tensor}" says ${sizeBytes} bytes, but the body has ${binary.length - reader.at} left`);
      reader.at += sizeBytes;
      return binary.subarray(reader.at - sizeBytes, reader.at);
    },
    end() {
      if (reader.at < binary.length) throw invalid(`${binary.length - reader.at} bytes follow the last tensor`);
    },
  };
  return { text: textOf(body.subarray(0, length), 'the request'), reader };
}

function decodeTensor(value: unknown, reader: BinaryReader, what: 'input' | 'output', limits: Limits): Tensor {
  if (!isRecord(value) || typeof value.name !== 'string') throw invalid(`an ${what} is not an object with a "name"`);
  const { name, datatype } = value;
  if (!isDataType(datatype))
    throw invalid(`tensor "${name}" has datatype ${preview(datatype)}; try FP32, INT64 or BYTES`);
  const shape = parseShape(value.shape, name, datatype, limits);
  const { binary_data_size: sizeBytes, ...parameters } = decodeParameters(value.parameters);
  refuseSharedMemory(name, parameters);
  const said = parametersOrNothing(parameters);
  // Some servers answer with halves as numbers; none takes them so.
  const halves = what === 'output' ? 'as-numbers' : 'refused';
  if (sizeBytes === undefined) return { ...tensorFromJson(name, datatype, shape, value.data, halves), ...said };
  if (value.data !== undefined) throw invalid(`tensor "${name}" has both data and binary_data_size`);
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
    throw invalid(`the binary_data_size of tensor "${name}" is no whole number`);
  return { ...tensorFromBytes(name, datatype, shape, reader.take(sizeBytes, name)), ...said };
}

const noParameters: Parameters = {};

function decodeParameters(value: unknown): Parameters {
  if (value === undefined || value === null) return noParameters;
  if (!isRecord(value)) throw invalid('"parameters" is not an object');
  return Object.fromEntries(Object.entries(value).map(([key, parameter]) => [key, decodeParameter(key, parameter)]));
}

function decodeParameter(key: string, value: unknown): Parameters[string] {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    refuseInfinite(key, value);
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new InexactInteger();
    return value;
  }
  // Beyond 64 bits there is no integer on either wire, but there is a double.
  if (typeof value === 'bigint') return value >= -(2n ** 63n) && value < 2n ** 64n ? value : Number(value);
  throw invalid(`parameter "${key}" is no string, number or boolean`);
}

/** JSON has no form for it, and nothing that is asked for is infinite. */
export function refuseInfinite(key: string, value: number): void {
  if (!Number.isFinite(value)) throw invalid(`parameter "${key}" is ${value}; a finite number is expected`);
}

export function parametersOrNothing(parameters: Parameters): { readonly parameters?: Parameters } {
  return Object.keys(parameters).length === 0 ? {} : { parameters };
}

/** JSON's numbers have any length, so bigint goes there as digits. */
function parametersJson(parameters: Parameters): string {
  const members = Object.entries(parameters).map(
    ([key, value]) => `${JSON.stringify(key)}:${typeof value === 'bigint' ? value : JSON.stringify(value)}`,
  );
  return `{${members}}`;
}

function decodeId(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid('"id" is not a string');
  return value;
}

function decodeRequestedOutputs(value: unknown): RequestedOutput[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid('"outputs" is not an array');
  return value.map((output: unknown) => {
    if (!isRecord(output) || typeof output.name !== 'string') throw invalid('an output is not an object with a "name"');
    const parameters = decodeParameters(output.parameters);
    refuseClassification(parameters);
    return { name: output.name, parameters };
  });
}

export function refuseTwins(inputs: readonly Tensor[]): void {
  if (new Set(inputs.map(({ name }) => name)).size < inputs.length) throw invalid('two inputs have the same name');
}

export function refuseSharedMemory(name: string, parameters: Parameters): void {
  if (Object.keys(parameters).some((key) => key.startsWith('shared_memory')))
    throw new InferenceError('inference/unsupported', `tensor "${name}" is in shared memory, which is not supported`);
}

export function refuseClassification(parameters: Parameters): void {
  if (parameters.classification !== undefined)
    throw new InferenceError('inference/unsupported', 'the classification extension is not supported');
}

/** Whether the client asked for this output as bytes: by itself, or for all when it listed none. */
function wantsBinary({ outputs, parameters }: Pick<InferRequest, 'outputs' | 'parameters'>, name: string): boolean {
  const listed = outputs.find((output) => output.name === name);
  return listed === undefined ? parameters.binary_data_output === true : listed.parameters.binary_data === true;
}

export function encodeInferResponse(
  response: InferResponse,
  request: Pick<InferRequest, 'outputs' | 'parameters'>,
): Encoded {
  const { modelName, modelVersion, id, outputs, parameters } = response;
  const head = `{"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`;
  const identity = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  const { json, parts } = encodeTensors(outputs, (name) => wantsBinary(request, name));
  const said = parameters === undefined ? '' : `,"parameters":${parametersJson(parameters)}`;
  return join(`${head}${identity}${said},"outputs":${json}}`, parts);
}

/** Tensors named in `binary` follow as bytes. */
export function encodeInferRequest(request: InferRequest, binary: ReadonlySet<string> = new Set()): Encoded {
  const { id, parameters, outputs } = request;
  const { json, parts } = encodeTensors(request.inputs, (name) => binary.has(name));
  const wanted = outputs.map(
    (output) => `{"name":${JSON.stringify(output.name)},"parameters":${parametersJson(output.parameters)}}`,
  );
  const identity = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
  const rest = wanted.length === 0 ? '' : `,"outputs":[${wanted}]`;
  return join(`{${identity}"parameters":${parametersJson(parameters)},"inputs":${json}${rest}}`, parts);
}

function encodeTensors(tensors: readonly Tensor[], isBinary: (name: string) => boolean) {
  const parts: Uint8Array[] = [];
  const json = tensors.map((tensor) => {
    const { name, datatype, shape, parameters } = tensor;
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape}]`;
    if (!isBinary(name) || elementCount(shape) === 0) {
      const said = parameters === undefined ? '' : `,"parameters":${parametersJson(parameters)}`;
      return `${head}${said},"data":${elementsToJson(tensor)}}`;
    }
    const bytes = bytesFromTensor(tensor);
    parts.push(bytes);
    return `${head},"parameters":${parametersJson({ ...parameters, binary_data_size: bytes.length })}}`;
  });
  return { json: `[${json.join(',')}]`, parts };
}

const encoder = new TextEncoder();

function join(json: string, parts: readonly Uint8Array[]): Encoded {
  if (parts.length === 0) return { body: json, jsonLength: undefined };
  const all = [encoder.encode(json), ...parts];
  const body = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of all) {
    body.set(part, at);
    at += part.length;
  }
  return { body, jsonLength: all[0]?.length };
}
