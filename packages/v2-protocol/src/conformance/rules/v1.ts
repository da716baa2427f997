import { hasJson, isRefusal, noRows } from '../checks.ts';
import type { HttpRule } from '../rule.ts';
import type { Subject } from '../subject.ts';

const source = (place: string) => `KServe, V1 data plane, ${place}`;
const path = (model: string) => `/v1/models/${encodeURIComponent(model)}`;
const headers = { 'content-type': 'application/json' };
const predict = (model: string, body: string) => ({
  method: 'POST' as const,
  path: `${path(model)}:predict`,
  headers,
  body,
});

function withBody(make: (body: string, subject: Subject) => ReturnType<HttpRule['send']>): HttpRule['send'] {
  return (subject) => (subject.v1Body === undefined ? noRows : make(subject.v1Body, subject));
}

const hasPredictions: HttpRule['check'] = (answer, { rows }) =>
  hasJson(answer, ({ predictions }) => {
    if (!Array.isArray(predictions)) return '"predictions" is no array';
    return predictions.length === rows ? undefined : `there are ${predictions.length} predictions for ${rows} rows`;
  });

const rule = (id: string, place: string, rest: Pick<HttpRule, 'expects' | 'send' | 'check'>): HttpRule => ({
  id: `v1/${id}`,
  surface: 'v1',
  source: source(place),
  over: 'http',
  ...rest,
});

export const v1Rules: readonly HttpRule[] = [
  rule('list', 'list models', {
    expects: 'GET /v1/models names the model in "models"',
    send: () => ({ method: 'GET', path: '/v1/models' }),
    check: (answer, { model }) =>
      hasJson(answer, ({ models }) =>
        Array.isArray(models) && models.includes(model) ? undefined : '"models" does not hold the model',
      ),
  }),
  rule('ready', 'model ready', {
    expects: 'GET /v1/models/M answers {"name": M, "ready": true}',
    send: ({ model }) => ({ method: 'GET', path: path(model) }),
    check: (answer, { model }) =>
      hasJson(answer, (body) =>
        body.name === model && body.ready === true ? undefined : `the body is ${JSON.stringify(body)}`,
      ),
  }),
  rule('ready-unknown', 'model ready', {
    expects: 'GET /v1/models/X of no model is a 404',
    send: ({ unknownModel }) => ({ method: 'GET', path: path(unknownModel) }),
    check: (answer) => isRefusal(answer, 404),
  }),
  rule('predict', 'predict', {
    expects: 'POST :predict with "instances" answers "predictions", one for each',
    send: withBody((body, { model }) => predict(model, body)),
    check: hasPredictions,
  }),
  rule('predict-inputs', 'predict', {
    expects: 'POST :predict takes "inputs" for "instances"',
    send: withBody((body, { model }) => predict(model, body.replace('"instances"', '"inputs"'))),
    check: hasPredictions,
  }),
  rule('predict-encoded-colon', 'RFC 3986, 2.4: %3A is the colon', {
    expects: 'POST %3Apredict is :predict',
    send: withBody((body, { model }) => ({ ...predict(model, body), path: `${path(model)}%3Apredict` })),
    check: hasPredictions,
  }),
  rule('predict-untyped', 'predict', {
    expects: 'a body of JSON without Content-Type is taken as JSON',
    send: withBody((body, { model }) => ({ method: 'POST', path: `${path(model)}:predict`, body })),
    check: hasPredictions,
  }),
  rule('predict-unknown', 'predict', {
    expects: 'POST :predict of no model is a 404',
    send: withBody((body, { unknownModel }) => predict(unknownModel, body)),
    check: (answer) => isRefusal(answer, 404),
  }),
  rule('predict-malformed', 'errors', {
    expects: 'a body that is no JSON is a 400',
    send: ({ model }) => predict(model, '{"instances": ['),
    check: (answer) => isRefusal(answer, 400),
  }),
  rule('predict-no-list', 'errors', {
    expects: '"instances" that are no list are a 400',
    send: ({ model }) => predict(model, '{"instances": 1}'),
    check: (answer) => isRefusal(answer, 400),
  }),
  rule('predict-nothing', 'errors', {
    expects: 'a body without "instances" and "inputs" is an error with a reason',
    send: ({ model }) => predict(model, '{}'),
    check: (answer) => isRefusal(answer),
  }),
];
