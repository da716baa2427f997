import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Subject } from './conformance/subject.ts';
import { rules, runConformance, type Transport, type Verdict } from './conformance.ts';
import { InferenceError, type InferRequest, type Surface, surfaces } from './index.ts';

const encoder = new TextEncoder();
const model = 'iris';
const metadata = {
  name: model,
  versions: ['3'],
  platform: 'onnx_onnxv1',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'INT64', shape: [-1] }],
} as const;
const prediction = {
  model_name: model,
  model_version: '3',
  outputs: [{ name: 'y', datatype: 'INT64', shape: [1], data: [7] }],
};
const request: InferRequest = {
  id: undefined,
  parameters: {},
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: new Float32Array(2) }],
  outputs: [],
};
const subject: Subject = {
  model,
  unknownModel: 'nobody',
  version: '3',
  outputs: metadata.outputs,
  outputNames: ['y'],
  request,
  v1Body: '{"instances":[[0,0]]}',
  rows: 1,
  prediction: undefined,
};

/** A server with these answers of HTTP by path; it takes no gRPC. */
const serverWith = (answers: Readonly<Record<string, unknown>>): Transport => ({
  async http({ path }) {
    const found = Object.hasOwn(answers, path);
    const body = encoder.encode(JSON.stringify(found ? answers[path] : { error: 'nothing here' }));
    return { status: found ? 200 : 404, headers: { 'content-type': 'application/json' }, body };
  },
  grpc: async () => ({ code: 14, details: 'nothing listens', messages: [] }),
});

async function verdictsOf(transport: Transport, surfaces?: readonly Surface[], asked?: InferRequest) {
  const verdicts = new Map<string, Verdict>();
  const options = { model, request: asked, surfaces };
  for await (const verdict of runConformance(transport, options, new AbortController().signal))
    verdicts.set(verdict.id, verdict);
  return verdicts;
}

describe('the rules', () => {
  it('have names and places of their own', () => {
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
    for (const { id, surface, source, expects } of rules) {
      expect(id.startsWith(`${surface}/`)).toBe(true);
      expect(source).toMatch(/^[A-Z].*, .+/);
      expect(expects.length).toBeGreaterThan(10);
    }
  });

  it.each(rules.map((rule) => [rule.id, rule] as const))(
    '%s fails for a server that does something else',
    (_, rule) => {
      const body = (value: unknown) => encoder.encode(JSON.stringify(value));
      const answers = [
        { status: 200, headers: {}, body: body({}) },
        { status: 500, headers: {}, body: new Uint8Array() },
        { status: 200, headers: {}, body: body([{ name: model, state: 'READY' }]) },
      ];
      const calls = [
        { code: 0, details: '', messages: [] },
        { code: 13, details: '', messages: [] },
      ];
      const problems =
        rule.over === 'http'
          ? answers.map((answer) => rule.check(answer, subject))
          : calls.map((answer) => rule.check(answer, subject));

      expect(problems.some((problem) => problem !== undefined)).toBe(true);
      expect('skip' in rule.send(subject)).toBe(false);
    },
  );
});

describe('a run', () => {
  const answers = {
    '/v2': { name: 's', version: '1', extensions: [] },
    '/v2/models/iris': metadata,
    '/v2/models/iris/infer': prediction,
  };

  it('makes a request from the metadata, and tells what fails with what was sent and what came', async () => {
    const verdicts = await verdictsOf(serverWith(answers));

    expect(verdicts.get('v2/infer')).toMatchObject({ outcome: 'pass' });
    expect(verdicts.get('v2/server-metadata')).toMatchObject({ outcome: 'pass' });
    expect(verdicts.get('v2/model-ready')).toMatchObject({
      outcome: 'fail',
      problem: 'the status is 404, not 200',
      sent: 'GET /v2/models/iris/ready',
      received: '404 {"error":"nothing here"}',
    });
    expect(verdicts.get('v2/infer-echoes-id')).toMatchObject({ outcome: 'fail', problem: 'its id is undefined' });
    expect(verdicts.get('v2/refuses-negative-shape')).toMatchObject({
      outcome: 'fail',
      sent: expect.stringContaining('"shape":[-1,-1,-1]'),
    });
  });

  it('skips what a server does not offer, and says why, unless it is asked for', async () => {
    const skipped = await verdictsOf(serverWith(answers));
    const asked = await verdictsOf(serverWith(answers), ['v1', 'grpc']);

    expect(skipped.get('v1/predict')).toMatchObject({ outcome: 'skip', reason: 'GET /v1/models/iris answers 404' });
    expect(skipped.get('binary/inputs')).toMatchObject({
      outcome: 'skip',
      reason: expect.stringMatching(/binary_tensor_data/),
    });
    expect(skipped.get('grpc/infer-raw')).toMatchObject({ outcome: 'skip', reason: 'ServerLive: nothing listens' });
    expect(skipped.get('repository/unload')).toMatchObject({ outcome: 'skip' });
    expect(asked.get('v1/predict')).toMatchObject({ outcome: 'fail' });
    expect(asked.get('grpc/infer-raw')).toMatchObject({
      outcome: 'fail',
      problem: expect.stringMatching(/code is 14 \(nothing listens\)/),
    });
    expect(asked.has('v2/infer')).toBe(false);
  });

  it('needs to know a request, from the metadata or by hand', async () => {
    const silent = serverWith({ '/v2/models/iris': { ...metadata, inputs: [] }, '/v2/models/iris/infer': prediction });

    await expect(verdictsOf(silent)).rejects.toThrow(InferenceError);
    await expect(verdictsOf(serverWith({}))).rejects.toThrow(/gives 404 \{"error":"nothing here"\}/);
    expect((await verdictsOf(silent, undefined, request)).get('v2/infer')).toMatchObject({ outcome: 'pass' });
  });

  it('goes on when a server breaks off', async () => {
    const breaking: Transport = {
      ...serverWith(answers),
      http: (sent) =>
        sent.path === '/v2/health/live' ? Promise.reject(new Error('reset')) : serverWith(answers).http(sent),
    };

    expect((await verdictsOf(breaking)).get('v2/server-live')).toMatchObject({
      outcome: 'fail',
      problem: 'no answer that can be read: reset',
    });
  });
});

describe('docs/conformance.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/conformance.md'), 'utf8');
  const cells = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);

  it('names every protocol, and only rules that there are', () => {
    expect(cells.filter((cell) => !cell.includes('/'))).toEqual([...surfaces]);
    expect(cells.filter((cell) => cell.includes('/') && !rules.some(({ id }) => id === cell))).toEqual([]);
  });
});
