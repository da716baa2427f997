import { isRecord } from '../../json.ts';
import { hasStatus } from '../checks.ts';
import type { HttpRule, Problem } from '../rule.ts';
import { jsonOf, modelPath } from '../subject.ts';
import type { HttpAnswer } from '../transport.ts';

/** These unload the model and load it again, in this order: nobody else should use it meanwhile. */

const headers = { 'content-type': 'application/json' };

const rule = (id: string, place: string, rest: Pick<HttpRule, 'expects' | 'send' | 'check'>): HttpRule => ({
  id: `repository/${id}`,
  surface: 'repository',
  source: `Triton, model repository extension, ${place}`,
  over: 'http',
  ...rest,
});

const post = (path: string, body?: string) => ({
  method: 'POST' as const,
  path: `/v2/repository${path}`,
  ...(body === undefined ? {} : { headers, body }),
});
const change = (model: string, verb: 'load' | 'unload') => post(`/models/${encodeURIComponent(model)}/${verb}`, '{}');

function holds(answer: HttpAnswer, model: string, state: string | undefined): Problem {
  const index = hasStatus(answer, 200) === undefined ? jsonOf(answer) : undefined;
  if (!Array.isArray(index)) return hasStatus(answer, 200) ?? 'the body is no array';
  const entries: unknown[] = index.filter((entry: unknown) => isRecord(entry) && entry.name === model);
  if (state === undefined) return entries.length === 0 ? undefined : 'the model is listed';
  const ready = entries.some((entry) => isRecord(entry) && entry.state === state);
  return ready ? undefined : `the model is not listed as ${state}`;
}

export const repositoryRules: readonly HttpRule[] = [
  rule('index', 'Index', {
    expects: 'the index lists the model as READY',
    send: () => post('/index', '{}'),
    check: (answer, { model }) => holds(answer, model, 'READY'),
  }),
  rule('index-without-body', 'Index', {
    expects: 'the index needs no body',
    send: () => post('/index'),
    check: (answer, { model }) => holds(answer, model, 'READY'),
  }),
  rule('index-ready', 'Index', {
    expects: 'with "ready", the index lists what is READY',
    send: () => post('/index', '{"ready": true}'),
    check: (answer, { model }) => holds(answer, model, 'READY'),
  }),
  rule('load-again', 'Load', {
    expects: 'loading a model that is loaded answers 200',
    send: ({ model }) => change(model, 'load'),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('load-unknown', 'Load', {
    expects: 'loading what is not there is an error with a reason',
    send: ({ unknownModel }) => change(unknownModel, 'load'),
    check(answer) {
      if (answer.status < 400) return `the status is ${answer.status}`;
      const body = jsonOf(answer);
      return isRecord(body) && typeof body.error === 'string' ? undefined : 'the body is not {"error": "…"}';
    },
  }),
  rule('unload', 'Unload', {
    expects: 'unloading the model answers 200',
    send: ({ model }) => change(model, 'unload'),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('unloaded', 'Unload', {
    expects: 'a model that was unloaded is not listed as READY',
    send: () => post('/index', '{"ready": true}'),
    check: (answer, { model }) => holds(answer, model, undefined),
  }),
  rule('unloaded-refuses', 'Unload', {
    expects: 'a model that was unloaded is not ready',
    send: ({ model }) => ({ method: 'GET', path: `${modelPath(model)}/ready` }),
    check: ({ status }) => (status === 200 ? 'the status is 200' : undefined),
  }),
  rule('load', 'Load', {
    expects: 'loading the model answers 200 once it is loaded',
    send: ({ model }) => change(model, 'load'),
    check: (answer) => hasStatus(answer, 200),
  }),
  rule('loaded', 'Load', {
    expects: 'a model that was loaded answers at once',
    send: ({ model }) => ({ method: 'GET', path: `${modelPath(model)}/ready` }),
    check: (answer) => hasStatus(answer, 200),
  }),
];
