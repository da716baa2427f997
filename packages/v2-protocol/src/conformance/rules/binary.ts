import { bytesFromTensor } from '../../binary.ts';
import { encodeInferRequest, type InferRequest, jsonLengthHeader } from '../../infer.ts';
import { elementCount } from '../../tensor.ts';
import { isAsBefore, isPrediction, isRefusal, noOutputs } from '../checks.ts';
import type { HttpRule, Inapplicable } from '../rule.ts';
import { modelPath, type Subject } from '../subject.ts';
import type { HttpAnswer, HttpRequest } from '../transport.ts';

const rule = (id: string, place: string, rest: Pick<HttpRule, 'expects' | 'send' | 'check'>): HttpRule => ({
  id: `binary/${id}`,
  surface: 'binary',
  source: `Triton, binary tensor data extension, ${place}`,
  over: 'http',
  ...rest,
});

const empty: Inapplicable = { skip: 'an input of this model has no elements' };

type Parts = { readonly body: Uint8Array; readonly jsonLength: number };

/** All inputs as bytes; `change` may damage the body or the header's value. */
function infer(
  change: (request: InferRequest, subject: Subject) => InferRequest | Inapplicable = (request) => request,
  damage: (parts: Parts) => Parts = (parts) => parts,
): HttpRule['send'] {
  return (subject) => {
    const request = change(subject.request, subject);
    if ('skip' in request) return request;
    if (request.inputs.some(({ shape }) => elementCount(shape) === 0)) return empty;
    const { body, jsonLength } = encodeInferRequest(request, new Set(request.inputs.map(({ name }) => name)));
    if (typeof body === 'string' || jsonLength === undefined) return empty;
    return post(subject, damage({ body, jsonLength }));
  };
}

function post({ model }: Subject, { body, jsonLength }: Parts): HttpRequest {
  const headers = { 'content-type': 'application/octet-stream', [jsonLengthHeader]: String(jsonLength) };
  return { method: 'POST', path: `${modelPath(model)}/infer`, headers, body };
}

const wantsAll = (request: InferRequest): InferRequest => ({ ...request, parameters: { binary_data_output: true } });

const asBefore: HttpRule['check'] = (answer, subject) =>
  isPrediction(answer, subject, (response) => isAsBefore(response, subject));

const asBytes = (answer: HttpAnswer, subject: Subject) =>
  isPrediction(answer, subject, (response) => {
    // Outputs without elements have no bytes, and need no header.
    const bytes = response.outputs.reduce((sum, tensor) => sum + bytesFromTensor(tensor).length, 0);
    if (bytes > 0 && answer.headers[jsonLengthHeader] === undefined) return `there is no ${jsonLengthHeader}`;
    return isAsBefore(response, subject);
  });

const withJsonOutputs: Pick<HttpRule, 'send' | 'check'> = {
  send: infer((request, { outputNames }) =>
    outputNames.length === 0
      ? noOutputs
      : { ...request, outputs: outputNames.map((name) => ({ name, parameters: { binary_data: false } })) },
  ),
  check: (answer, subject) =>
    answer.headers[jsonLengthHeader] === undefined ? asBefore(answer, subject) : 'the answer has binary data',
};

const refusal = (answer: HttpAnswer) => isRefusal(answer);

export const binaryRules: readonly HttpRule[] = [
  rule('inputs', 'Binary Tensor Request', {
    expects: 'inputs as bytes give the prediction that inputs as JSON give',
    send: infer(),
    check: asBefore,
  }),
  rule('outputs', 'binary_data_output', {
    expects: 'with binary_data_output, the outputs follow the JSON as bytes, and the header says where',
    send: infer(wantsAll),
    check: asBytes,
  }),
  rule('listed-output', 'binary_data', {
    expects: 'a listed output with binary_data is sent as bytes',
    send: infer((request, { outputNames }) => {
      const [first] = outputNames;
      return first === undefined
        ? noOutputs
        : { ...request, outputs: [{ name: first, parameters: { binary_data: true } }] };
    }),
    check: (answer, subject) =>
      isPrediction(answer, subject, ({ outputs: [first] }) => {
        const bytes = first === undefined ? 0 : bytesFromTensor(first).length;
        return bytes > 0 && answer.headers[jsonLengthHeader] === undefined
          ? `there is no ${jsonLengthHeader}`
          : undefined;
      }),
  }),
  rule('listed-output-json', 'binary_data', {
    expects: 'listed outputs with binary_data false are sent as JSON',
    ...withJsonOutputs,
  }),
  rule('untyped', 'Binary Tensor Request: the header decides', {
    expects: 'a body with the header is taken without Content-Type',
    send(subject) {
      const sent = infer()(subject);
      if ('skip' in sent) return sent;
      const { 'content-type': _, ...headers } = sent.headers ?? {};
      return { ...sent, headers };
    },
    check: asBefore,
  }),
  rule('raw-request', 'Raw Binary Request', {
    expects: 'with a header of 0, the body is the only input, and all outputs are sent as bytes',
    send(subject) {
      const { inputs } = subject.request;
      const [only] = inputs;
      if (only === undefined || inputs.length > 1) return { skip: 'the model has more than one input' };
      if (only.datatype === 'BYTES' || elementCount(only.shape) === 0) return empty;
      return post(subject, { body: bytesFromTensor(only), jsonLength: 0 });
    },
    check: asBytes,
  }),
  rule('header-beyond-body', 'Inference-Header-Content-Length', {
    expects: 'a header beyond the body is refused',
    send: infer(undefined, ({ body }) => ({ body, jsonLength: body.length + 1 })),
    check: refusal,
  }),
  rule('bytes-left-over', 'binary_data_size', {
    expects: 'bytes after the last tensor are refused',
    send: infer(undefined, ({ body, jsonLength }) => ({ body: Buffer.concat([body, new Uint8Array(3)]), jsonLength })),
    check: refusal,
  }),
  rule('bytes-missing', 'binary_data_size', {
    expects: 'a tensor whose bytes are not all there is refused',
    send: infer(undefined, ({ body, jsonLength }) => ({ body: body.subarray(0, body.length - 1), jsonLength })),
    check: refusal,
  }),
  rule('size-of-another-shape', 'binary_data_size', {
    expects: 'a binary_data_size that the shape does not take is refused',
    send: infer(undefined, ({ body, jsonLength }) => {
      const json = JSON.parse(new TextDecoder().decode(body.subarray(0, jsonLength)));
      json.inputs[0].shape = [...json.inputs[0].shape, 7];
      const head = new TextEncoder().encode(JSON.stringify(json));
      return { body: Buffer.concat([head, body.subarray(jsonLength)]), jsonLength: head.length };
    }),
    check: refusal,
  }),
];
