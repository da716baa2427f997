import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { layoutOf } from '../../data-type.ts';
import { InferenceError } from '../../errors.ts';
import {
  type ModelInferRequest,
  ModelInferRequestSchema,
  ModelMetadataRequestSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelReadyResponseSchema,
  ServerLiveRequestSchema,
  ServerLiveResponseSchema,
  ServerMetadataRequestSchema,
  ServerMetadataResponseSchema,
  ServerReadyRequestSchema,
  ServerReadyResponseSchema,
} from '../../gen/inference_pb.js';
import { decodeGrpcResponse, encodeGrpcRequest } from '../../grpc-infer.ts';
import type { ContentsForm } from '../../grpc-tensor.ts';
import { decodeMessage } from '../../grpc-wire.ts';
import type { InferRequest, InferResponse } from '../../infer.ts';
import { isAsBefore, noOutputs, noVersion, onlyOutput, outputsProblem } from '../checks.ts';
import type { GrpcRule, Inapplicable, Problem } from '../rule.ts';
import type { Subject } from '../subject.ts';
import type { GrpcAnswer, GrpcCall } from '../transport.ts';

/** Codes that rules ask for. */
export const codes = { ok: 0, invalidArgument: 3, notFound: 5, unimplemented: 12 } as const;

export const rule = (id: string, place: string, rest: Pick<GrpcRule, 'expects' | 'send' | 'check'>): GrpcRule => ({
  id: `grpc/${id}`,
  surface: 'grpc',
  source: `Open Inference Protocol, gRPC, ${place}`,
  over: 'grpc',
  ...rest,
});

export function call<Desc extends DescMessage>(method: string, schema: Desc, init: MessageInitShape<Desc>): GrpcCall {
  return { method, messages: [toBinary(schema, create(schema, init))] };
}

export function hasCode({ code, details }: GrpcAnswer, ...expected: readonly number[]): Problem {
  return expected.includes(code) ? undefined : `the code is ${code} (${details}), not ${expected.join(' or ')}`;
}

/** The one message of a call that went well. */
export function answered<T>({ messages, ...answer }: GrpcAnswer, decode: (bytes: Uint8Array) => T): T | Problem {
  const problem = hasCode({ messages, ...answer }, codes.ok);
  if (problem !== undefined) return problem;
  const [bytes] = messages;
  if (bytes === undefined) return 'there is no message';
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof InferenceError) return error.message;
    throw error;
  }
}

function isPrediction(
  answer: GrpcAnswer,
  { model, outputs }: Subject,
  check: (response: InferResponse) => Problem = () => undefined,
): Problem {
  const response = answered(answer, decodeGrpcResponse);
  if (response === undefined || typeof response === 'string') return response;
  if (response.modelName !== model) return `model_name is ${JSON.stringify(response.modelName)}`;
  return outputsProblem(response, outputs) ?? check(response);
}

type Change = (request: InferRequest, subject: Subject) => InferRequest | Inapplicable;

function infer(form: ContentsForm, change: Change = (request) => request, version?: 'named'): GrpcRule['send'] {
  return (subject) => {
    const request = change(subject.request, subject);
    if ('skip' in request) return request;
    if (form === 'typed' && request.inputs.some(({ datatype }) => layoutOf(datatype).kind === 'half'))
      return { skip: 'an input of this model has no typed contents' };
    if (version === 'named' && subject.version === undefined) return noVersion;
    const modelVersion = version === 'named' ? subject.version : undefined;
    return {
      method: 'ModelInfer',
      messages: [encodeGrpcRequest({ modelName: subject.model, modelVersion, request, form })],
    };
  };
}

/** The request with raw contents, changed on the message's own terms, for what no request of ours would hold. */
function inferMessage(change: (message: ModelInferRequest) => Partial<ModelInferRequest>): GrpcRule['send'] {
  return (subject) => {
    const sent = infer('raw')(subject);
    if ('skip' in sent) return sent;
    const message = decodeMessage(ModelInferRequestSchema, sent.messages[0] as Uint8Array);
    Object.assign(message, change(message));
    return { ...sent, messages: [toBinary(ModelInferRequestSchema, message)] };
  };
}

/** With other fields in its first input. */
function inferWithFirst(fields: { readonly datatype?: string; readonly shape?: bigint[] }): GrpcRule['send'] {
  return inferMessage(({ inputs: [first, ...rest] }) => ({
    inputs: first === undefined ? rest : [{ ...first, ...fields }, ...rest],
  }));
}

const asBefore: GrpcRule['check'] = (answer, subject) =>
  isPrediction(answer, subject, (response) => isAsBefore(response, subject));

const server: readonly GrpcRule[] = [
  rule('server-live', 'ServerLive', {
    expects: 'the server is live',
    send: () => call('ServerLive', ServerLiveRequestSchema, {}),
    check(answer) {
      const live = answered(answer, (bytes) => decodeMessage(ServerLiveResponseSchema, bytes));
      return typeof live === 'object' ? (live.live ? undefined : 'live is false') : live;
    },
  }),
  rule('server-ready', 'ServerReady', {
    expects: 'the server is ready',
    send: () => call('ServerReady', ServerReadyRequestSchema, {}),
    check(answer) {
      const ready = answered(answer, (bytes) => decodeMessage(ServerReadyResponseSchema, bytes));
      return typeof ready === 'object' ? (ready.ready ? undefined : 'ready is false') : ready;
    },
  }),
  rule('server-metadata', 'ServerMetadata', {
    expects: 'the server tells its name',
    send: () => call('ServerMetadata', ServerMetadataRequestSchema, {}),
    check(answer) {
      const told = answered(answer, (bytes) => decodeMessage(ServerMetadataResponseSchema, bytes));
      return typeof told === 'object' ? (told.name === '' ? 'it has no name' : undefined) : told;
    },
  }),
];

const model: readonly GrpcRule[] = [
  rule('model-ready', 'ModelReady', {
    expects: 'the model is ready',
    send: ({ model: name }) => call('ModelReady', ModelReadyRequestSchema, { name }),
    check(answer) {
      const ready = answered(answer, (bytes) => decodeMessage(ModelReadyResponseSchema, bytes));
      return typeof ready === 'object' ? (ready.ready ? undefined : 'ready is false') : ready;
    },
  }),
  rule('model-ready-unknown', 'ModelReady', {
    expects: 'no model is not ready: NOT_FOUND, or ready is false',
    send: ({ unknownModel: name }) => call('ModelReady', ModelReadyRequestSchema, { name }),
    check(answer) {
      if (answer.code !== codes.ok) return hasCode(answer, codes.notFound);
      const ready = answered(answer, (bytes) => decodeMessage(ModelReadyResponseSchema, bytes));
      return typeof ready === 'object' ? (ready.ready ? 'ready is true' : undefined) : ready;
    },
  }),
  rule('model-metadata', 'ModelMetadata', {
    expects: 'the name, the inputs and the outputs, as over HTTP',
    send: ({ model: name }) => call('ModelMetadata', ModelMetadataRequestSchema, { name }),
    check(answer, subject) {
      const told = answered(answer, (bytes) => decodeMessage(ModelMetadataResponseSchema, bytes));
      if (typeof told !== 'object') return told;
      if (told.name !== subject.model) return `name is ${JSON.stringify(told.name)}`;
      const textOf = (tensors: readonly { name: string; datatype: string; shape: readonly unknown[] }[]) =>
        tensors.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape}]`).join(', ');
      const [here, there] = [textOf(told.outputs), textOf(subject.outputs)];
      return here === there ? undefined : `the outputs are ${here}, not ${there}`;
    },
  }),
  rule('model-metadata-unknown', 'ModelMetadata', {
    expects: 'no model is NOT_FOUND',
    send: ({ unknownModel: name }) => call('ModelMetadata', ModelMetadataRequestSchema, { name }),
    check: (answer) => hasCode(answer, codes.notFound),
  }),
];

const inference: readonly GrpcRule[] = [
  rule('infer-typed', 'ModelInfer, InferTensorContents', {
    expects: 'typed contents give the prediction that HTTP gives',
    send: infer('typed'),
    check: asBefore,
  }),
  rule('infer-raw', 'ModelInfer, raw_input_contents', {
    expects: 'raw contents give the prediction that HTTP gives',
    send: infer('raw'),
    check: asBefore,
  }),
  rule('infer-version', 'ModelInfer', {
    expects: 'a version that the metadata names is asked, and named in the answer',
    send: infer('raw', undefined, 'named'),
    check: (answer, subject) =>
      isPrediction(answer, subject, ({ modelVersion }) =>
        modelVersion === subject.version ? undefined : `model_version is ${JSON.stringify(modelVersion)}`,
      ),
  }),
  rule('infer-echoes-id', 'ModelInferResponse', {
    expects: 'the answer has the id of the request',
    send: infer('raw', (request) => ({ ...request, id: 'a-7 "é"' })),
    check: (answer, subject) =>
      isPrediction(answer, subject, ({ id }) => (id === 'a-7 "é"' ? undefined : `its id is ${JSON.stringify(id)}`)),
  }),
  rule('infer-requested-output', 'InferRequestedOutputTensor', {
    expects: 'only the output that "outputs" lists is answered',
    send: infer('raw', (request, { outputNames }) => {
      const last = outputNames.at(-1);
      return last === undefined ? noOutputs : { ...request, outputs: [{ name: last, parameters: {} }] };
    }),
    check: (answer, subject) =>
      isPrediction(answer, subject, (response) => onlyOutput(response, subject.outputNames.at(-1) ?? '')),
  }),
  rule('infer-parameters', 'InferParameter', {
    expects: 'texts, whole numbers and truth values as parameters that the server does not know are no error',
    send: infer('raw', (request) => ({ ...request, parameters: { 'x-text': 'a', 'x-number': 1, 'x-flag': true } })),
    check: asBefore,
  }),
  rule('infer-wide-parameters', 'InferParameter, double_param and uint64_param', {
    expects: 'fractions and numbers beyond int64 as parameters that the server does not know are no error',
    send: infer('raw', (request) => ({ ...request, parameters: { 'x-part': 0.5, 'x-far': 2n ** 64n - 1n } })),
    check: asBefore,
  }),
];

const refused = (id: string, what: string, send: GrpcRule['send'], code: number = codes.invalidArgument): GrpcRule =>
  rule(`refuses-${id}`, 'error status', {
    expects: `${what} is ${code === codes.notFound ? 'NOT_FOUND' : 'INVALID_ARGUMENT'}`,
    send,
    check: (answer) => hasCode(answer, code),
  });

const refusals: readonly GrpcRule[] = [
  refused(
    'unknown-model',
    'a request to no model',
    (subject) => infer('raw')({ ...subject, model: subject.unknownModel }),
    codes.notFound,
  ),
  refused(
    'no-inputs',
    'a request without inputs',
    infer('raw', (request) => ({ ...request, inputs: [] })),
  ),
  refused(
    'unknown-output',
    'an output that the model does not have',
    infer('raw', (request) => ({ ...request, outputs: [{ name: 'no-such-output', parameters: {} }] })),
  ),
  refused('unknown-datatype', 'an input of datatype FP31', inferWithFirst({ datatype: 'FP31' })),
  refused('negative-shape', 'a shape with -1', inferWithFirst({ shape: [-1n] })),
  refused('other-count', 'a shape that the raw contents do not fill', inferWithFirst({ shape: [3n, 5n, 7n] })),
  refused(
    'raw-beyond',
    'one more of the raw contents than inputs',
    inferMessage(({ rawInputContents }) => ({ rawInputContents: [...rawInputContents, new Uint8Array(1)] })),
  ),
  refused(
    'raw-cut',
    'raw contents without their last byte',
    inferMessage(({ rawInputContents }) => ({
      rawInputContents: rawInputContents.map((bytes) => bytes.subarray(0, Math.max(0, bytes.length - 1))),
    })),
  ),
  rule('unknown-method', 'gRPC status codes', {
    expects: 'a method that is none is UNIMPLEMENTED',
    send: () => ({ method: 'NoSuchMethod', messages: [new Uint8Array()] }),
    check: (answer) => hasCode(answer, codes.unimplemented),
  }),
];

export const grpcRules: readonly GrpcRule[] = [...server, ...model, ...inference, ...refusals];
