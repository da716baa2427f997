import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@roundhouse/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTransport } from '../conformance-transport.ts';
import { conformance } from './conformance.ts';

/** Answers metadata, and to everything else that it is a teapot. */
const server = createServer((request, response) => {
  const found = request.url === '/base/v2/models/iris' && request.headers.host === 'iris.example.com';
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [-1] }];
  const body = found ? { name: 'iris', platform: 'onnx_onnxv1', inputs, outputs: [] } : { error: 'a teapot' };
  request.resume().on('end', () => response.writeHead(found ? 200 : 418).end(JSON.stringify(body)));
});
let url: URL;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base`);
});
afterAll(() => server.close());

async function run(options: { output?: 'text' | 'json'; data?: string; host?: string; at?: URL } = {}) {
  const { output = 'text', data, host = 'iris.example.com', at = url } = options;
  const signal = new AbortController().signal;
  const transport = openTransport(systemClock, { url: at, host, grpc: at.host }, signal);
  const lines: string[] = [];
  try {
    const deps = { transport, print: (text: string) => lines.push(text), standardInput: () => '{' };
    const wanted = { url: at, model: 'iris', protocols: ['v2'] as const, data, output };
    return { status: await conformance(deps, wanted, signal), text: lines.join('\n') };
  } finally {
    await transport.close();
  }
}

describe('roundhouse conformance', () => {
  it('prints one line per rule, and for a failure what was sent and what came', async () => {
    const { status, text } = await run();

    expect(status).toBe(1);
    expect(text).toMatch(
      /^pass {2}v2\/model-metadata +GET .* \(Open Inference Protocol, HTTP\/REST, Model Metadata\)$/m,
    );
    expect(text).toMatch(
      /^fail {2}v2\/server-live .*\n +the status is 418, not 200\n +sent: +GET \/v2\/health\/live\n +received: 418 \{"error":"a teapot"\}$/m,
    );
    expect(text).toMatch(/\d+ rules pass, \d+ fail, \d+ are skipped$/);
  });

  it('gives programs all of it at once', async () => {
    const { status, text } = await run({ output: 'json' });
    const report = JSON.parse(text);

    expect(status).toBe(1);
    expect(report).toMatchObject({ model: 'iris', passed: expect.any(Number), failed: expect.any(Number) });
    expect(report.rules).toHaveLength(report.passed + report.failed + report.skipped);
  });

  it('says why it cannot begin', async () => {
    await expect(run({ host: 'other' })).rejects.toThrow(/gives 418 \{"error":"a teapot"\}.*give a request/);
    await expect(run({ data: '-' })).rejects.toThrow(/malformed JSON/);
    await expect(run({ data: 'nowhere.json' })).rejects.toThrow(/there is no file nowhere.json/);
    await expect(run({ at: new URL('http://127.0.0.1:1') })).rejects.toThrow(/nothing answers at http:\/\/127.0.0.1:1/);
  });

  it('takes a request by hand where the metadata does not help', async () => {
    const data = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[7]}]}';
    const { text } = await run({ data, host: 'other' });

    expect(text).toMatch(/sent: .*"data":\[7\]/);
  });
});
