import { create, toBinary } from '@bufbuild/protobuf';
import { invalid } from './errors.ts';
import {
  type InferParameter,
  ModelInferRequestSchema,
  type ModelInferResponse,
  ModelInferResponseSchema,
} from './gen/inference_pb.js';
import {
  areTypable,
  type ContentsForm,
  messageFromTensor,
  rawFrom,
  type TensorMessage,
  tensorFromMessage,
} from './grpc-tensor.ts';
import { decodeMessage } from './grpc-wire.ts';
import {
  type InferRequest,
  type InferResponse,
  parametersOrNothing,
  refuseClassification,
  refuseInfinite,
  refuseSharedMemory,
  refuseTwins,
} from './infer.ts';
import { defaultLimits, type Limits } from './limits.ts';
import type { Parameters, Tensor } from './tensor.ts';

export type GrpcRequest = {
  readonly modelName: string;
  /** Undefined: the version that is served. */
  readonly modelVersion: string | undefined;
  readonly request: InferRequest;
  /** How the inputs came, and so how the client reads outputs; raw when there was nothing to tell. */
  readonly form: ContentsForm;
};

/** Decodes a ModelInferRequest. Throws InferenceError, whatever the bytes are. */
export function decodeGrpcRequest(bytes: Uint8Array, limits: Limits = defaultLimits): GrpcRequest {
  const message = decodeMessage(ModelInferRequestSchema, bytes);
  const raw = message.rawInputContents;
  for (const { name, parameters } of message.inputs) refuseSharedMemory(name, parametersFrom(parameters));
  const inputs = tensorsFrom(message.inputs, raw, limits);
  refuseTwins(inputs);
  const outputs = message.outputs.map((output) => ({
    name: output.name,
    parameters: parametersFrom(output.parameters),
  }));
  for (const { parameters } of outputs) refuseClassification(parameters);
  const parameters = parametersFrom(message.parameters);
  return {
    modelName: message.modelName,
    modelVersion: message.modelVersion || undefined,
    request: { id: message.id || undefined, parameters, inputs, outputs },
    form: raw.length > 0 || inputs.length === 0 ? 'raw' : 'typed',
  };
}

function tensorsFrom(messages: readonly TensorParts[], raw: readonly Uint8Array[], limits: Limits): Tensor[] {
  if (raw.length > 0 && raw.length !== messages.length)
    throw invalid(`there are ${messages.length} tensors, but ${raw.length} raw contents`);
  return messages.map((message, at) => ({
    ...tensorFromMessage(message, raw[at], limits),
    ...parametersOrNothing(parametersFrom(message.parameters)),
  }));
}

type TensorParts = TensorMessage & { readonly parameters: Readonly<Record<string, InferParameter>> };

function partsFrom(tensor: Tensor, form: ContentsForm) {
  return { ...messageFromTensor(tensor, form), parameters: parametersTo(tensor.parameters ?? {}) };
}

export function encodeGrpcRequest({ modelName, modelVersion = '', request, form }: GrpcRequest): Uint8Array {
  const { id = '', inputs, outputs, parameters } = request;
  const message = create(ModelInferRequestSchema, {
    modelName,
    modelVersion,
    id,
    parameters: parametersTo(parameters),
    inputs: inputs.map((tensor) => partsFrom(tensor, form)),
    outputs: outputs.map((output) => ({ name: output.name, parameters: parametersTo(output.parameters) })),
    rawInputContents: rawFrom(inputs, form),
  });
  return toBinary(ModelInferRequestSchema, message);
}

/** Outputs that have no typed form (FP16, BF16) turn the whole response raw. */
export function encodeGrpcResponse(response: InferResponse, wanted: ContentsForm): Uint8Array {
  const { modelName, modelVersion, id = '', outputs, parameters = {} } = response;
  const form = areTypable(outputs) ? wanted : 'raw';
  const message = create(ModelInferResponseSchema, {
    modelName,
    modelVersion,
    id,
    parameters: parametersTo(parameters),
    outputs: outputs.map((tensor) => partsFrom(tensor, form)),
    rawOutputContents: rawFrom(outputs, form),
  });
  return toBinary(ModelInferResponseSchema, message);
}

/** Decodes a ModelInferResponse of any server, raw or typed. */
export function decodeGrpcResponse(bytes: Uint8Array, limits: Limits = defaultLimits): InferResponse {
  return responseFrom(decodeMessage(ModelInferResponseSchema, bytes), limits);
}

export function responseFrom(message: ModelInferResponse, limits: Limits): InferResponse {
  const { modelName, modelVersion, id, outputs, rawOutputContents, parameters } = message;
  return {
    modelName,
    modelVersion,
    id: id || undefined,
    outputs: tensorsFrom(outputs, rawOutputContents, limits),
    ...parametersOrNothing(parametersFrom(parameters)),
  };
}

function parametersFrom(parameters: Readonly<Record<string, InferParameter>>): Parameters {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, { parameterChoice }]) => {
      const { value } = parameterChoice;
      if (value === undefined) throw invalid(`parameter "${key}" has no value`);
      if (typeof value === 'number') refuseInfinite(key, value);
      if (typeof value !== 'bigint') return [key, value];
      return [key, Number.isSafeInteger(Number(value)) ? Number(value) : value];
    }),
  );
}

function parametersTo(parameters: Parameters) {
  return Object.fromEntries(
    Object.entries(parameters).map(([key, value]) => [key, { parameterChoice: parameterChoice(value) }]),
  );
}

function parameterChoice(value: Parameters[string]) {
  if (typeof value === 'string') return { case: 'stringParam' as const, value };
  if (typeof value === 'boolean') return { case: 'boolParam' as const, value };
  if (typeof value === 'bigint')
    return value < 2n ** 63n ? { case: 'int64Param' as const, value } : { case: 'uint64Param' as const, value };
  // -0 is no integer on the wire.
  return Number.isSafeInteger(value) && !Object.is(value, -0)
    ? { case: 'int64Param' as const, value: BigInt(value) }
    : { case: 'doubleParam' as const, value };
}
