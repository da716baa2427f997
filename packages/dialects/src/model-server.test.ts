import { systemClock } from '@roundhouse/base';
import { type FakeModelServer, startFakeModelServer } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dialectFor, dialectNames } from './dialects.ts';
import { errorTextOf } from './error-text.ts';
import { describeModelServer } from './model-server.contract.ts';
import { type ModelServer, openModelServer } from './model-server.ts';

for (const name of dialectNames) {
  describeModelServer(dialectFor(name), async () => {
    const fake = await startFakeModelServer((model) => (model === 'bad' ? 'the file is empty' : undefined));
    return { port: fake.port, good: 'good', bad: 'bad', close: fake.stop };
  });
}

describe('openModelServer', () => {
  const signal = AbortSignal.timeout(20_000);
  let fake: FakeModelServer;
  let server: ModelServer;
  beforeEach(async () => {
    fake = await startFakeModelServer();
    server = openModelServer({ clock: systemClock }, dialectFor('v2'), fake);
  });
  afterEach(async () => {
    await server.close();
    await fake.stop();
  });

  it('says when nobody listens', async () => {
    await fake.stop();

    await expect(server.load('iris', signal)).rejects.toMatchObject({ code: 'server/unreachable' });
    expect(await server.isLive(signal)).toBe(false);
  });

  it.each([['hang'], ['reset']] as const)('gives up on a load that ends in %s', async (script) => {
    fake.script('POST /v2/repository/models/iris/load', script);
    const deadlines = { askMs: 100, loadMs: 100, unloadMs: 100 };
    const impatient = openModelServer({ clock: systemClock }, dialectFor('v2'), fake, deadlines);

    await expect(impatient.load('iris', signal)).rejects.toMatchObject({ code: 'server/broke-off' });
    await impatient.close();
  });

  it('tells a busy server from one that rejects the model', async () => {
    fake.script('POST /v2/repository/models/iris/load', { status: 503, body: '{"error":"later"}' });

    await expect(server.load('iris', signal)).rejects.toMatchObject({ code: 'server/busy' });
  });

  it('tells a server without room from one that rejects the model', async () => {
    fake.script('POST /v2/repository/models/iris/load', { status: 507, body: '{"error":"1 MB are free"}' });

    await expect(server.load('iris', signal)).rejects.toMatchObject({ code: 'server/full' });
  });

  it('never asks for a model whose name the server cannot hold', async () => {
    await expect(server.load('../iris', signal)).rejects.toMatchObject({ code: 'server/rejected' });

    expect(fake.calls).toEqual([]);
  });

  it('asks model by model where there is no index', async () => {
    await server.load('iris', signal);
    fake.script('POST /v2/repository/index', { status: 404 });

    const found = await server.list(['iris', 'wine'], signal);

    expect(found.map(({ name, ready }) => [name, ready])).toEqual([
      ['iris', true],
      ['wine', false],
    ]);
  });

  it('fails on a list that is none', async () => {
    fake.script('POST /v2/repository/index', { status: 200, body: '<html>' });

    await expect(server.list([], signal)).rejects.toMatchObject({ code: 'server/broke-off' });
  });

  it('waits for a server that unloads in the background', async () => {
    const triton = openModelServer({ clock: systemClock }, dialectFor('triton'), fake);
    const ready = { status: 200, body: '[{"name":"iris","version":"1","state":"READY"}]' };
    const unloading = { status: 200, body: '[{"name":"iris","version":"1","state":"UNLOADING"}]' };
    fake.script('POST /v2/repository/index', ready, ready, unloading);

    await triton.unload('iris', signal);

    expect(fake.calls.filter((call) => call.endsWith('/index'))).toHaveLength(3);
    await triton.close();
  });

  it('rejects with the reason of the signal', async () => {
    fake.script('GET /v2/health/live', 'hang');
    const reason = new Error('stopped');

    await expect(server.isLive(AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('the listing', () => {
  it('has a model ready when one of its versions is, and leaves out the nameless', () => {
    const text = JSON.stringify([
      { name: 'a', version: '1', state: 'READY' },
      { name: 'a', version: '2', state: 'UNAVAILABLE', reason: 'broken' },
      { name: 'b' },
      { name: '' },
    ]);

    expect(dialectFor('triton').listing?.parse(text)).toEqual([
      { name: 'a', ready: true, reason: undefined },
      { name: 'b', ready: false, reason: undefined },
    ]);
  });
});

describe('errorTextOf', () => {
  it.each([
    ['{"error":"no such\\nmodel"}', 'no such model'],
    ['{"detail":[{"msg":"bad"}]}', '[{"msg":"bad"}]'],
    ['{"code":404,"message":"gone"}', 'gone'],
    ['Internal Server Error', 'Internal Server Error'],
    ['', 'status 500'],
  ])('reads %s', (text, words) => {
    expect(errorTextOf({ status: 500, text })).toBe(words);
  });
});
