import { bytesFromTensor, tensorFromBytes } from './binary.ts';
import { isDataType } from './data-type.ts';
import { elementsToJson, tensorFromJson } from './elements.ts';
import { InferenceError, invalid } from './errors.ts';
import { decodeJson, isRecord, textOf } from './json.ts';
import { elementCount, parseShape, type Tensor } from './tensor.ts';

export type Parameters = Readonly<Record<string, string | number | boolean>>;

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
};

/** A body and, when tensors follow the JSON as bytes, the length for the header `inference-header-content-length`. */
export type Encoded = { readonly body: string | Uint8Array; readonly jsonLength: number | undefined };

/** The header that marks a body with binary tensors; its value is the length of the JSON part. */
export const jsonLengthHeader = 'inference-header-content-length';

/** Decodes the body of `POST /v2/models/M/infer`; `jsonLength` is the value of `jsonLengthHeader`, if it was sent. */
export function decodeInferRequest(body: Uint8Array, jsonLength: string | undefined): InferRequest {
  const { text, reader } = split(body, jsonLength);
  return decodeJson(text, (value) => {
    reader.at = 0;
    if (!isRecord(value)) throw invalid('the request is not a JSON object');
    if (!Array.isArray(value.inputs)) throw invalid('the request needs "inputs", an array of tensors');
    const inputs = value.inputs.map((input: unknown) => decodeTensor(input, reader, 'input'));
    refuseTwins(inputs);
    reader.end();
    return {
      id: decodeId(value.id),
      parameters: decodeParameters(value.parameters),
      inputs,
      outputs: decodeRequestedOutputs(value.outputs),
    };
  });
}

/** Decodes what `encodeInferResponse` and other servers write; `model_version` and `id` may be missing there. */
export function decodeInferResponse(body: Uint8Array, jsonLength: string | undefined): InferResponse {
  const { text, reader } = split(body, jsonLength);
  return decodeJson(text, (value) => {
    reader.at = 0;
    if (!isRecord(value) || !Array.isArray(value.outputs)) throw invalid('the response has no "outputs"');
    const outputs = value.outputs.map((output: unknown) => decodeTensor(output, reader, 'output'));
    reader.end();
    return {
      modelName: typeof value.model_name === 'string' ? value.model_name : '',
      modelVersion: typeof value.model_version === 'string' ? value.model_version : '',
      id: decodeId(value.id),
      outputs,
    };
  });
}

/** The bytes after the JSON part, taken in the order in which tensors name their size. */
type BinaryReader = { at: number; take(sizeBytes: number, tensor: string): Uint8Array; end(): void };

function split(body: Uint8Array, jsonLength: string | undefined): { text: string; reader: BinaryReader } {
  const length = jsonLength === undefined ? body.length : Number(jsonLength);
  if (jsonLength !== undefined && (!/^\d{1,15}$/.test(jsonLength) || length > body.length))
    throw invalid(`${jsonLengthHeader} is ${JSON.stringify(jsonLength)}, but the body has ${body.length} bytes`);
  if (length === 0 && body.length > 0)
    throw new InferenceError('inference/unsupported', 'a body without JSON (raw binary request) is not supported');
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

function decodeTensor(value: unknown, reader: BinaryReader, what: 'input' | 'output'): Tensor {
  if (!isRecord(value) || typeof value.name !== 'string') throw invalid(`an ${what} is not an object with a "name"`);
  const { name, datatype } = value;
  if (!isDataType(datatype))
    throw invalid(`tensor "${name}" has datatype ${JSON.stringify(datatype)}; try FP32, INT64 or BYTES`);
  const shape = parseShape(value.shape, name);
  const parameters = decodeParameters(value.parameters);
  refuseSharedMemory(name, parameters);
  const sizeBytes = parameters.binary_data_size;
  if (sizeBytes === undefined) return tensorFromJson(name, datatype, shape, value.data);
  if (value.data !== undefined) throw invalid(`tensor "${name}" has both data and binary_data_size`);
  if (typeof sizeBytes !== 'number' || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
    throw invalid(`the binary_data_size of tensor "${name}" is no whole number`);
  return tensorFromBytes(name, datatype, shape, reader.take(sizeBytes, name));
}

const noParameters: Parameters = {};

function decodeParameters(value: unknown): Parameters {
  if (value === undefined || value === null) return noParameters;
  if (!isRecord(value)) throw invalid('"parameters" is not an object');
  for (const [key, parameter] of Object.entries(value)) {
    if (!['string', 'number', 'boolean', 'bigint'].includes(typeof parameter))
      throw invalid(`parameter "${key}" is no string, number or boolean`);
  }
  return value as Parameters;
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
  const { modelName, modelVersion, id, outputs } = response;
  const head = `{"model_name":${JSON.stringify(modelName)},"model_version":${JSON.stringify(modelVersion)}`;
  const identity = id === undefined ? '' : `,"id":${JSON.stringify(id)}`;
  const { json, parts } = encodeTensors(outputs, (name) => wantsBinary(request, name));
  return join(`${head}${identity},"outputs":${json}}`, parts);
}

/** Tensors named in `binary` follow as bytes. */
export function encodeInferRequest(request: InferRequest, binary: ReadonlySet<string> = new Set()): Encoded {
  const { id, parameters, outputs } = request;
  const { json, parts } = encodeTensors(request.inputs, (name) => binary.has(name));
  const rest = JSON.stringify({ id, parameters, ...(outputs.length > 0 ? { outputs } : {}) });
  return join(`{"inputs":${json},${rest.slice(1)}`, parts);
}

function encodeTensors(tensors: readonly Tensor[], isBinary: (name: string) => boolean) {
  const parts: Uint8Array[] = [];
  const json = tensors.map((tensor) => {
    const { name, datatype, shape } = tensor;
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape}]`;
    if (!isBinary(name) || elementCount(shape) === 0) return `${head},"data":${elementsToJson(tensor)}}`;
    const bytes = bytesFromTensor(tensor);
    parts.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.length}}}`;
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
