import { isDataType, layoutOf } from '../../data-type.ts';
import { decodeInferRequest, encodeInferRequest, type InferRequest } from '../../infer.ts';
import { isRecord } from '../../json.ts';
import { encodeV1Response } from '../../v1.ts';
import {
  hasJson,
  hasStatus,
  isAsBefore,
  isPrediction,
  isRefusal,
  noOutputs,
  noVersion,
  onlyOutput,
} from '../checks.ts';
import type { HttpRule, Inapplicable, Problem } from '../rule.ts';
import { modelPath, type Subject } from '../subject.ts';

const headers = { 'content-type': 'application/json' };

const rule = (id: string, place: string, rest: Pick<HttpRule, 'expects' | 'send' | 'check'>): HttpRule => ({
  id: `v2/${id}`,
  surface: 'v2',
  source: `Open Inference Protocol, HTTP/REST, ${place}`,
  over: 'http',
  ...rest,
});

const get = (path: string) => ({ method: 'GET' as const, path });
const noJson: Inapplicable = { skip: 'an input of this model has no form in JSON' };

/** The request that the model takes, with a change to it. */
function infer(change: (request: InferRequest, subject: Subject) => InferRequest | Inapplicable): HttpRule['send'] {
  return (subject) => {
    if (subject.request.inputs.some(({ datatype }) => layoutOf(datatype).kind === 'half')) return noJson;
    const changed = change(subject.request, subject);
    if ('skip' in changed) return changed;
    return {
      method: 'POST',
      path: `${modelPath(subject.model)}/infer`,
      headers,
      body: encodeInferRequest(changed).body,
    };
  };
}

/** The same on the JSON's own terms, for what no request of ours would hold. */
function inferJson(
  change: (json: Record<string, unknown>, first: Record<string, unknown>) => unknown,
): HttpRule['send'] {
  return (subject) => {
    const sent = infer((request) => request)(subject);
    if ('skip' in sent) return sent;
    const json = JSON.parse(String(sent.body)) as Record<string, unknown>;
    const changed = change(json, (json.inputs as Record<string, unknown>[])[0] ?? {});
    return { ...sent, body: typeof changed === 'string' ? changed : JSON.stringify(json) };
  };
}

const remove = (holder: Record<string, unknown>, key: string) => void Reflect.deleteProperty(holder, key);

const tensorsProblem = (what: string, value: unknown): Problem => {
  if (!Array.isArray(value)) return `"${what}" is no array`;
  const wrong = value.findIndex((tensor: unknown) => {
    if (!isRecord(tensor) || typeof tensor.name !== 'string' || !isDataType(tensor.datatype)) return true;
    return !Array.isArray(tensor.shape) || !tensor.shape.every((size: unknown) => Number.isInteger(size));
  });
  return wrong < 0 ? undefined : `${what}[${wrong}] has no name, datatype or shape of the protocol`;
};

const server: readonly HttpRule[] = [
  rule('server-live', 'Server Live', {
    expects: 'GET /v2/health/live answers 200',
    send: () => get('/v2/health/live'),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('server-ready', 'Server Ready', {
    expects: 'GET /v2/health/ready answers 200',
    send: () => get('/v2/health/ready'),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('server-metadata', 'Server Metadata', {
    expects: 'GET /v2 answers name, version and extensions',
    send: () => get('/v2'),
    check: (answer) =>
      hasJson(answer, ({ name, version, extensions }) => {
        if (typeof name !== 'string' || typeof version !== 'string') return '"name" or "version" is no string';
        const isList = Array.isArray(extensions) && extensions.every((each) => typeof each === 'string');
        return isList ? undefined : '"extensions" is no array of strings';
      }),
  }),
];

const model: readonly HttpRule[] = [
  rule('model-ready', 'Model Ready', {
    expects: 'GET /v2/models/M/ready answers 200',
    send: (subject) => get(`${modelPath(subject.model)}/ready`),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('model-ready-unknown', 'Model Ready', {
    expects: 'GET /v2/models/X/ready of no model is no 200',
    send: ({ unknownModel }) => get(`${modelPath(unknownModel)}/ready`),
    check: ({ status }) => (status >= 400 && status <= 599 ? undefined : `the status is ${status}`),
  }),
  rule('model-metadata', 'Model Metadata', {
    expects: 'GET /v2/models/M answers name, platform, inputs and outputs',
    send: (subject) => get(modelPath(subject.model)),
    check: (answer, subject) =>
      hasJson(answer, ({ name, platform, versions, inputs, outputs }) => {
        if (name !== subject.model) return `"name" is ${JSON.stringify(name)}`;
        if (typeof platform !== 'string') return '"platform" is no string';
        const named = versions ?? [];
        if (!Array.isArray(named) || named.some((each) => typeof each !== 'string'))
          return '"versions" is no array of strings';
        return tensorsProblem('inputs', inputs) ?? tensorsProblem('outputs', outputs);
      }),
  }),
  rule('model-metadata-unknown', 'Model Metadata', {
    expects: 'GET /v2/models/X of no model is refused with {"error"}',
    send: ({ unknownModel }) => get(modelPath(unknownModel)),
    check: (answer) => isRefusal(answer),
  }),
  rule('version-metadata', 'Model Metadata', {
    expects: 'GET /v2/models/M/versions/V answers for a version that the metadata names',
    send: (subject) =>
      subject.version === undefined ? noVersion : get(`${modelPath(subject.model)}/versions/${subject.version}`),
    check: (answer, subject) =>
      hasJson(answer, ({ name }) => (name === subject.model ? undefined : '"name" is another')),
  }),
  rule('version-unknown', 'Model Metadata', {
    expects: 'GET /v2/models/M/versions/V/ready of no version is no 200',
    send: (subject) => get(`${modelPath(subject.model)}/versions/99999999/ready`),
    check: ({ status }) => (status >= 400 && status <= 599 ? undefined : `the status is ${status}`),
  }),
];

const inference: readonly HttpRule[] = [
  rule('infer', 'Inference', {
    expects: 'POST /v2/models/M/infer answers model_name and the outputs that the metadata names',
    send: infer((request) => request),
    check: (answer, subject) => isPrediction(answer, subject),
  }),
  rule('infer-content-type', 'Inference', {
    expects: 'an answer of JSON has the type application/json',
    send: infer((request) => request),
    check: (answer) =>
      hasStatus(answer, 200) ??
      (answer.headers['content-type']?.startsWith('application/json') ? undefined : 'the type is another'),
  }),
  rule('infer-model-version', 'Inference Response JSON Object', {
    expects: 'model_version is a string, or is left out',
    send: infer((request) => request),
    check: (answer) =>
      hasJson(answer, ({ model_version: version }) =>
        version === undefined || typeof version === 'string' ? undefined : `it is ${JSON.stringify(version)}`,
      ),
  }),
  rule('infer-version', 'Inference', {
    expects: 'POST /v2/models/M/versions/V/infer answers, and names the version',
    send(subject) {
      const sent = infer((request) => request)(subject);
      if ('skip' in sent || subject.version === undefined) return 'skip' in sent ? sent : noVersion;
      return { ...sent, path: `${modelPath(subject.model)}/versions/${subject.version}/infer` };
    },
    check: (answer, subject) =>
      isPrediction(answer, subject, ({ modelVersion }) =>
        modelVersion === subject.version ? undefined : `model_version is ${JSON.stringify(modelVersion)}`,
      ),
  }),
  rule('infer-echoes-id', 'Inference Response JSON Object', {
    expects: 'the answer has the id of the request',
    send: infer((request) => ({ ...request, id: 'a-7 "é"' })),
    check: (answer, subject) =>
      isPrediction(answer, subject, ({ id }) => (id === 'a-7 "é"' ? undefined : `its id is ${JSON.stringify(id)}`)),
  }),
  rule('infer-nested-data', 'Tensor Data', {
    expects: 'data nested as the shape says is the same as flat data',
    send: inferJson((json) => {
      const { inputs } = decodeInferRequest(new TextEncoder().encode(JSON.stringify(json)), undefined);
      for (const [at, tensor] of inputs.entries()) {
        const nested = JSON.parse(encodeV1Response([tensor])).predictions;
        (json.inputs as Record<string, unknown>[])[at] = {
          ...(json.inputs as object[])[at],
          data: Array.isArray(nested) ? nested : [nested],
        };
      }
    }),
    check: (answer, subject) => isPrediction(answer, subject, (response) => isAsBefore(response, subject)),
  }),
  rule('infer-requested-output', 'Request Output', {
    expects: 'only the output that "outputs" lists is answered',
    send: infer((request, { outputNames }) => {
      const last = outputNames.at(-1);
      return last === undefined ? noOutputs : { ...request, outputs: [{ name: last, parameters: {} }] };
    }),
    check: (answer, subject) =>
      isPrediction(answer, subject, (response) => onlyOutput(response, subject.outputNames.at(-1) ?? '')),
  }),
  rule('infer-parameters', 'Parameters', {
    expects: 'parameters that the server does not know are no error',
    send: infer((request) => ({
      ...request,
      parameters: { 'x-text': 'a', 'x-number': 1, 'x-part': 0.5, 'x-flag': true },
    })),
    check: (answer, subject) => isPrediction(answer, subject, (response) => isAsBefore(response, subject)),
  }),
  rule('infer-any-type', 'extension of binary data: clients send JSON as octet-stream', {
    expects: 'a body of JSON is taken under application/octet-stream',
    send(subject) {
      const sent = infer((request) => request)(subject);
      return 'skip' in sent ? sent : { ...sent, headers: { 'content-type': 'application/octet-stream' } };
    },
    check: (answer, subject) => isPrediction(answer, subject),
  }),
];

const refused = (id: string, what: string, send: HttpRule['send']): HttpRule =>
  rule(`refuses-${id}`, 'Inference Response JSON Error Object', {
    expects: `${what} is refused with a status of 4xx and {"error"}`,
    send,
    check: (answer) => isRefusal(answer),
  });

const refusals: readonly HttpRule[] = [
  refused('unknown-model', 'a request to no model', (subject) => {
    const sent = infer((request) => request)(subject);
    return 'skip' in sent ? sent : { ...sent, path: `${modelPath(subject.unknownModel)}/infer` };
  }),
  refused(
    'malformed-json',
    'a body that is no JSON',
    inferJson(() => '{"inputs": ['),
  ),
  refused(
    'no-object',
    'a body that is no object',
    inferJson(() => '[]'),
  ),
  refused(
    'no-inputs',
    'a request without inputs',
    inferJson((json) => remove(json, 'inputs')),
  ),
  refused(
    'empty-inputs',
    'a request with none of the inputs',
    inferJson((json) => Object.assign(json, { inputs: [] })),
  ),
  refused(
    'no-datatype',
    'an input without datatype',
    inferJson((_, first) => remove(first, 'datatype')),
  ),
  refused(
    'unknown-datatype',
    'an input of datatype FP31',
    inferJson((_, first) => Object.assign(first, { datatype: 'FP31' })),
  ),
  refused(
    'no-shape',
    'an input without shape',
    inferJson((_, first) => remove(first, 'shape')),
  ),
  refused(
    'negative-shape',
    'a shape with -1',
    inferJson((_, first) => Object.assign(first, { shape: (first.shape as number[]).map(() => -1).concat(-1) })),
  ),
  refused(
    'other-count',
    'data with one element more than the shape says',
    inferJson((_, first) =>
      Object.assign(first, { data: [...(first.data as unknown[]), (first.data as unknown[])[0] ?? 0] }),
    ),
  ),
  refused(
    'no-data',
    'an input without data',
    inferJson((_, first) => remove(first, 'data')),
  ),
  refused(
    'wrong-element',
    'an object among the data',
    inferJson((_, first) => Object.assign(first, { data: (first.data as unknown[]).map(() => ({})) })),
  ),
  refused(
    'unknown-output',
    'an output that the model does not have',
    infer((request) => ({ ...request, outputs: [{ name: 'no-such-output', parameters: {} }] })),
  ),
  refused('method', 'GET where POST belongs', (subject) => get(`${modelPath(subject.model)}/infer`)),
];

export const v2Rules: readonly HttpRule[] = [...server, ...model, ...inference, ...refusals];
