import { systemRandom } from '@roundhouse/base';
import { stepClock } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRig as createGrpcRig, type GrpcRig, metadata, request } from './h2/testing/rig.ts';
import type { Exchange } from './index.ts';
import { post, until } from './testing/rig.ts';
import { TraceContexts } from './trace-contexts.ts';

let rig: GrpcRig;
beforeEach(() => {
  rig = createGrpcRig();
});
afterEach(() => rig.close());

const echoHeaders = () =>
  rig.http((req, res) => {
    req.resume();
    res.end(JSON.stringify(req.headers));
  });
const ask = (fields: readonly string[] = []) =>
  post('/v1/models/a:predict', [...fields, 'Content-Length: 2', 'Connection: close'], '{}');
const bodyIn = (answer: string) => JSON.parse(/\{.*\}/s.exec(answer)![0]);
const trace = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/;

describe('a request', () => {
  it('is named where it enters: to the server, to the client and to the picker alike', async () => {
    const seen: Pick<Exchange, 'requestId' | 'traceId'>[] = [];
    const { port } = await rig.relay((await echoHeaders()).port, {
      edge: true,
      traceRatio: 1,
      onDone: ({ requestId, traceId }) => seen.push({ requestId, traceId }),
    });

    const answer = await rig.exchange(port, ask());
    const headers = bodyIn(answer);

    expect(headers.traceparent).toMatch(trace);
    expect(answer).toContain(`x-request-id: ${headers['x-request-id']}\r\n`);
    expect(seen).toEqual([{ requestId: headers['x-request-id'], traceId: headers.traceparent.split('-')[1] }]);
  });

  it('keeps the names that it brings', async () => {
    const seen: Pick<Exchange, 'requestId' | 'traceId'>[] = [];
    const { port } = await rig.relay((await echoHeaders()).port, {
      edge: true,
      traceRatio: 1,
      onDone: ({ requestId, traceId }) => seen.push({ requestId, traceId }),
    });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

    const answer = await rig.exchange(
      port,
      ask([`traceparent: ${traceparent}`, 'tracestate: a=b', 'X-Request-Id: mine']),
    );

    expect(bodyIn(answer)).toMatchObject({ traceparent, tracestate: 'a=b', 'x-request-id': 'mine' });
    expect(answer).toContain('x-request-id: mine\r\n');
    expect(seen).toEqual([{ requestId: 'mine', traceId: '0af7651916cd43dd8448eb211c80319c' }]);
  });

  it('has its name in a refusal, and none said back that is too long', async () => {
    const { port } = await rig.relay(1, { edge: true });

    expect(
      await rig.exchange(port, 'GET /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: 7\r\nConnection: close\r\n\r\n'),
    ).toMatch(/404.*x-request-id: 7\r\n/s);
    const long = `GET /x HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${'7'.repeat(200)}\r\nConnection: close\r\n\r\n`;
    expect(await rig.exchange(port, long)).not.toContain('x-request-id');
  });

  it('of gRPC is named likewise', async () => {
    const server = await rig.server({
      infer(call, done) {
        const { traceparent, 'x-request-id': id } = call.metadata.getMap();
        done(null, Buffer.from(JSON.stringify({ traceparent, id })));
      },
    });
    const { port } = await rig.relay(server.port, { edge: true, traceRatio: 0 });
    const client = rig.grpc(port);

    const made = JSON.parse(`${await client.infer('iris')}`);
    const brought = JSON.parse(
      `${await client.call('ModelInfer', request('iris'), metadata({ traceparent: 't', 'x-request-id': 'i' }))}`,
    );
    const failure = await client.failure('ModelInfer', request(''), metadata({ 'x-request-id': 'refused' }));

    expect(made).toEqual({ traceparent: expect.stringMatching(/-00$/), id: expect.any(String) });
    expect(brought).toEqual({ traceparent: 't', id: 'i' });
    expect(failure.metadata.get('x-request-id')).toEqual(['refused']);
  });
});

describe('TraceContexts', () => {
  it('are valid, all different, and sampled in the share that was asked for', () => {
    const contexts = new TraceContexts(systemRandom, 0.25);
    const values = Array.from({ length: 20_000 }, () => contexts.value(contexts.next()));

    expect(values.filter((value) => !trace.test(value))).toEqual([]);
    expect(new Set(values.map((value) => value.split('-')[1])).size).toBe(20_000);
    expect(new Set(values.map((value) => value.split('-')[2])).size).toBe(20_000);
    const sampled = values.filter((value) => value.endsWith('-01')).length;
    expect(Math.abs(sampled / 20_000 - 0.25)).toBeLessThan(0.02);
  });
});

describe('server-timing', () => {
  it('says on request where the time went, hop by hop', async () => {
    const clock = stepClock();
    const slow = await rig.http((_, res) => {
      clock.advance(30);
      res.end('ok');
    });
    const behind = await rig.relay(slow.port, { name: 'agent', clock });
    const parked: Exchange[] = [];
    const pick = (_: unknown, exchange: Exchange) => {
      parked.push(exchange);
      return 'parked' as const;
    };
    const front = await rig.relay(behind.port, { name: 'router', clock, pick });
    const client = await rig.client(front.port);
    client.send(ask(['X-Roundhouse-Timing: 1']));
    await until(() => parked.length === 1);
    clock.advance(20);
    parked[0]!.resume(front.upstream);
    await until(() => client.closed);

    expect(client.text).toContain('server-timing: agent;dur=0.000, agent-upstream;dur=30.000\r\n');
    expect(client.text).toContain(
      'server-timing: router;dur=0.000, router-wait;dur=20.000, router-upstream;dur=30.000\r\n',
    );
    expect(await rig.exchange(behind.port, ask())).not.toContain('server-timing');
  });

  it('is there for gRPC too', async () => {
    const server = await rig.server({});
    const { port } = await rig.relay(server.port, { name: 'router' });
    const call = rig.grpc(port).stream(metadata({ 'x-roundhouse-timing': '1' }));
    const head = new Promise<string>((resolve) =>
      call.on('metadata', (fields) => resolve(String(fields.get('server-timing')))),
    );
    call.write(request('iris'));
    const ended = new Promise((resolve) => call.on('data', () => call.end()).on('end', resolve as () => void));

    expect(await head).toMatch(/^router;dur=[\d.]+, router-upstream;dur=[\d.]+$/);
    await ended;
  });
});

describe('the size of a body', () => {
  it.each([
    ['that is announced', ask(['X: 1']).replace('Content-Length: 2', 'Content-Length: 200')],
    [
      'that comes in chunks',
      post('/v1/models/a:predict', ['Transfer-Encoding: chunked'], `64\r\n${'x'.repeat(100)}\r\n`),
    ],
  ])('%s has a bound, and is told', async (_, text) => {
    const { port, upstream } = await rig.relay((await echoHeaders()).port, { limits: { bodySizeMax: 64 } });
    const client = await rig.client(port);

    client.send(text);
    await until(() => client.text.includes('\r\n\r\n'));

    expect(client.text).toMatch(/^HTTP\/1.1 413 Content Too Large.*x-roundhouse-reason: body-too-large/s);
    expect(upstream.inFlight).toBe(0);
    expect(await rig.exchange(port, ask())).toContain('200 OK');
  });

  it('is noticed in the middle, and what the server has of it is cut off', async () => {
    const upstream = await rig.net((socket) => socket.resume());
    const { port, upstream: target } = await rig.relay(upstream.port, { limits: { bodySizeMax: 64 } });
    const client = await rig.client(port);
    client.send(post('/v1/models/a:predict', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n'));
    await until(() => upstream.sockets.size === 1);

    client.send(`64\r\n${'x'.repeat(100)}\r\n`);
    await until(() => client.text.includes('413'));

    await until(() => target.inFlight === 0 && upstream.sockets.size === 0);
  });

  it('of gRPC is that of one message, of as many as there are', async () => {
    const server = await rig.server({});
    const { port } = await rig.relay(server.port, { limits: { bodySizeMax: 64 } });
    const client = rig.grpc(port);
    const stream = client.stream();
    const failed = new Promise<{ code: number; details: string }>((resolve) => stream.on('error', resolve as never));
    let answers = 0;
    stream.on('data', () => answers++);
    for (let n = 0; n < 10; n++) stream.write(request('iris', Buffer.alloc(40)));
    await until(() => answers === 10);

    stream.write(request('iris', Buffer.alloc(80)));

    expect((await failed).code).toBe(8); // RESOURCE_EXHAUSTED
    expect(
      (await client.failure('ModelInfer', request('iris', Buffer.alloc(80)))).metadata.get('x-roundhouse-reason'),
    ).toEqual(['body-too-large']);
  });
});
