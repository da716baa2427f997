import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { messageOf } from '@roundhouse/base';
import { isDataType, layoutOf } from '../data-type.ts';
import { InferenceError } from '../errors.ts';
import { ModelMetadataRequestSchema, ModelMetadataResponseSchema } from '../gen/inference_pb.js';
import { decodeInferResponse, encodeInferRequest, type InferRequest, type InferResponse } from '../infer.ts';
import { isRecord, parseJson, textOf } from '../json.ts';
import { elementCount, type Tensor, type TensorMetadata } from '../tensor.ts';
import { encodeV1Response } from '../v1.ts';
import type { HttpAnswer, Transport } from './transport.ts';

/** What the rules ask about: one model that is there, and what is known to be right for it. */
export type Subject = {
  readonly model: string;
  readonly unknownModel: string;
  /** One that the server named; undefined if it named none. */
  readonly version: string | undefined;
  readonly outputs: readonly TensorMetadata[];
  /** Of its metadata, or else of a prediction. */
  readonly outputNames: readonly string[];
  readonly request: InferRequest;
  /** The same request as V1 has it; undefined where its tensors are no rows. */
  readonly v1Body: string | undefined;
  readonly rows: number;
  /** What the server answers to `request`, if it answers the same each time. */
  readonly prediction: InferResponse | undefined;
};

export type SubjectOptions = {
  readonly model: string;
  /** A request that the model takes; without, one is made from its metadata. */
  readonly request: InferRequest | undefined;
};

type Known = { version: string | undefined; inputs: readonly TensorMetadata[]; outputs: readonly TensorMetadata[] };

/** Learns what the rules need. Throws `inference/invalid` when no request can be made, with the way out. */
export async function observeSubject(transport: Transport, { model, request }: SubjectOptions): Promise<Subject> {
  const known = (await metadataOverHttp(transport, model)) ??
    (await metadataOverGrpc(transport, model)) ?? { version: undefined, inputs: [], outputs: [] };
  const asked = request ?? requestFor(known.inputs);
  if (asked === undefined)
    throw new InferenceError(
      'inference/invalid',
      `the server does not tell what model "${model}" takes: GET ${modelPath(model)} gives ${await answerText(transport, model)}, and gRPC no more; give a request that it takes`,
    );
  const prediction = await steadyPrediction(transport, model, asked);
  const named = known.outputs.length > 0 ? known.outputs : (prediction?.outputs ?? []);
  return {
    model,
    unknownModel: `${model}-that-is-not-there`,
    version: known.version,
    outputs: known.outputs,
    outputNames: named.map(({ name }) => name),
    request: asked,
    v1Body: v1BodyFor(asked.inputs),
    rows: asked.inputs[0]?.shape[0] ?? 1,
    prediction,
  };
}

async function metadataOverHttp(transport: Transport, model: string): Promise<Known | undefined> {
  const answer = await transport.http({ method: 'GET', path: modelPath(model) }).catch(() => undefined);
  const body = answer?.status === 200 ? jsonOf(answer) : undefined;
  if (!isRecord(body)) return undefined;
  const [version] = Array.isArray(body.versions) ? (body.versions as unknown[]) : [];
  return {
    version: typeof version === 'string' ? version : undefined,
    inputs: tensorsIn(body.inputs),
    outputs: tensorsIn(body.outputs),
  };
}

async function metadataOverGrpc(transport: Transport, model: string): Promise<Known | undefined> {
  const message = toBinary(ModelMetadataRequestSchema, create(ModelMetadataRequestSchema, { name: model }));
  const answer = await transport.grpc({ method: 'ModelMetadata', messages: [message] }).catch(() => undefined);
  const [bytes] = answer?.code === 0 ? answer.messages : [];
  if (bytes === undefined) return undefined;
  const { versions, inputs, outputs } = fromBinary(ModelMetadataResponseSchema, bytes);
  return { version: versions[0], inputs: tensorsIn(inputs), outputs: tensorsIn(outputs) };
}

async function answerText(transport: Transport, model: string): Promise<string> {
  try {
    const { status, body } = await transport.http({ method: 'GET', path: modelPath(model) });
    return `${status} ${new TextDecoder().decode(body.subarray(0, 200))}`.trim();
  } catch (error) {
    return messageOf(error);
  }
}

export function modelPath(model: string): string {
  return `/v2/models/${encodeURIComponent(model)}`;
}

export function jsonOf({ body }: HttpAnswer): unknown {
  try {
    return parseJson(textOf(body, 'the answer'));
  } catch {
    return undefined;
  }
}

/** Metadata as it came, without what is no tensor. Sizes may be bigint, or text, as protobuf's JSON has them. */
function tensorsIn(value: unknown): TensorMetadata[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((tensor: unknown) => {
    if (!isRecord(tensor) || typeof tensor.name !== 'string' || !isDataType(tensor.datatype)) return [];
    const shape = Array.isArray(tensor.shape) ? tensor.shape.map(Number) : [];
    return [{ name: tensor.name, datatype: tensor.datatype, shape }];
  });
}

/** Zeros of the smallest size that fits. */
function requestFor(inputs: readonly TensorMetadata[]): InferRequest | undefined {
  if (inputs.length === 0) return undefined;
  return { id: undefined, parameters: {}, inputs: inputs.map(zeros), outputs: [] };
}

function zeros({ name, datatype, shape: any }: TensorMetadata): Tensor {
  const shape = any.map((size) => (size < 0 ? 1 : size));
  const { kind, create: array } = layoutOf(datatype);
  const count = elementCount(shape);
  const text = new TextEncoder().encode('0');
  return { name, datatype, shape, data: kind === 'bytes' ? new Array<Uint8Array>(count).fill(text) : array(count) };
}

/** Rows are written the same way in both directions. */
function v1BodyFor(inputs: readonly Tensor[]): string | undefined {
  const predictions = encodeV1Response(inputs);
  const rows = predictions.slice('{"predictions":'.length);
  return rows.startsWith('[') ? `{"instances":${rows}` : undefined;
}

async function steadyPrediction(
  transport: Transport,
  model: string,
  request: InferRequest,
): Promise<InferResponse | undefined> {
  const isJson = request.inputs.every(({ datatype }) => layoutOf(datatype).kind !== 'half');
  if (!isJson) return undefined;
  const { body } = encodeInferRequest(request);
  const headers = { 'content-type': 'application/json' };
  const ask = async () => {
    const answer = await transport.http({ method: 'POST', path: `${modelPath(model)}/infer`, headers, body });
    return decodeInferResponse(answer.body, undefined);
  };
  try {
    const [first, second] = [await ask(), await ask()];
    return differenceBetween(first, second) === undefined ? first : undefined;
  } catch {
    return undefined;
  }
}

/** In what two responses differ, output by output; names decide, not places. */
export function differenceBetween(response: InferResponse, other: InferResponse): string | undefined {
  if (response.outputs.length !== other.outputs.length)
    return `there are ${response.outputs.length} outputs, not ${other.outputs.length}`;
  for (const { name, datatype, shape, data } of response.outputs) {
    const same = other.outputs.find((output) => output.name === name);
    if (same === undefined) return `there is an output "${name}"`;
    if (same.datatype !== datatype) return `output "${name}" is ${datatype}, not ${same.datatype}`;
    if (String(same.shape) !== String(shape)) return `output "${name}" has shape [${shape}], not [${same.shape}]`;
    if (!sameElements(data, same.data)) return `output "${name}" has other values`;
  }
  return undefined;
}

/** JSON has null for the infinities and NaN, so a number that is not finite equals any other. */
function sameElements(left: Tensor['data'], right: Tensor['data']): boolean {
  return left.length === right.length && Array.from<unknown>(left).every((value, at) => isSame(value, right[at]));
}

function isSame(left: unknown, right: unknown): boolean {
  if (left instanceof Uint8Array) return right instanceof Uint8Array && String(left) === String(right);
  return left === right || (typeof left === 'number' && !Number.isFinite(left) && !Number.isFinite(right));
}
