import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RelayOptions } from '../index.ts';
import { bodyOf, until } from '../testing/rig.ts';
import { createRig, type GrpcRig } from './testing/rig.ts';

let rig: GrpcRig;
const sessions: ClientHttp2Session[] = [];
beforeEach(() => {
  rig = createRig();
});
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await rig.close();
});

async function clientOf(upstreamPort: number, options: Partial<RelayOptions> = {}) {
  const made = await rig.relay(upstreamPort, options);
  const session = connect(`http://127.0.0.1:${made.port}`);
  session.on('error', () => {});
  sessions.push(session);
  return { ...made, session, ask: (fields: OutgoingHttpHeaders, body?: string | Buffer) => ask(session, fields, body) };
}

function open(session: ClientHttp2Session, fields: OutgoingHttpHeaders) {
  const stream = session.request({ ':method': 'POST', ':path': '/v2/models/a/infer', ...fields }, { endStream: false });
  stream.on('error', () => {});
  return stream;
}

async function ask(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body: string | Buffer = '') {
  const stream = open(session, fields);
  const head = new Promise<IncomingHttpHeaders>((resolve, reject) => {
    stream.on('response', resolve).on('error', reject);
  });
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.end(body);
  const headers = await head;
  return { status: headers[':status'], headers, body: await bodyOf(stream as never), trailers };
}

describe('HTTP over HTTP/2 that is no gRPC', () => {
  it('goes on as HTTP/1.1, and its answer comes back', async () => {
    const { port } = await rig.http(async (req, res) => {
      const body = await bodyOf(req);
      const { host, via, cookie, te } = req.headers;
      res.setHeader(
        'X-Seen',
        JSON.stringify([req.method, req.url, host, via, cookie, te, req.headers['content-length']]),
      );
      res.end(`${body}!`);
    });
    const { ask } = await clientOf(port);

    const answer = await ask(
      { ':authority': 'b', 'content-length': '2', cookie: ['x=1', 'y=2'], te: 'trailers' },
      '{}',
    );

    expect(answer).toMatchObject({ status: 200, body: '{}!' });
    expect(JSON.parse(String(answer.headers['x-seen']))).toEqual([
      'POST',
      '/v2/models/a/infer',
      'b',
      '1.1 test',
      'x=1; y=2',
      null,
      '2',
    ]);
    expect(answer.headers['content-length']).toBe('3');
    expect(answer.headers).not.toHaveProperty('connection');
  });

  it('may come and go in pieces without a length, with trailers behind the answer', async () => {
    const { port } = await rig.http(async (req, res) => {
      res.setHeader('Trailer', 'X-Sum');
      for await (const chunk of req) res.write(chunk);
      res.addTrailers({ 'X-Sum': String(req.headers['transfer-encoding']) });
      res.end();
    });
    const { session, ask } = await clientOf(port);
    const whole = 'x'.repeat(300_000);

    const answer = await ask({}, whole);
    const bare = session.request({ ':path': '/v2/health/live' });
    bare.resume();

    expect(answer.body).toBe(whole);
    expect(answer.trailers).toMatchObject({ 'x-sum': 'chunked' });
    await until(() => bare.closed);
  });

  it('is refused in words, as HTTP/1.1 is', async () => {
    const { ask } = await clientOf(1);

    expect(await ask({ ':path': '/v2/repository/index' })).toMatchObject({
      status: 404,
      headers: { 'x-roundhouse-reason': 'path-not-allowed' },
    });
    expect(await ask({ ':method': 'GET', ':path': '/v2/models/a/infer' })).toMatchObject({ status: 405 });
    const large = await ask({ 'x-large': 'a'.repeat(30_000), 'y-large': 'a'.repeat(10_000) });
    expect(large.status).toBe(431);
  });

  it('answers HEAD with a length and no body', async () => {
    const { port } = await rig.http((_, res) => res.setHeader('content-length', 5).end());
    const { ask } = await clientOf(port);

    const answer = await ask({ ':method': 'HEAD', ':path': '/v2/models/a' });

    expect(answer).toMatchObject({ status: 200, body: '' });
    expect(answer.headers['content-length']).toBe('5');
  });

  it.each([
    ['more than it declared', '2', '{} and a hidden request'],
    ['less than it declared', '20', '{}'],
  ])('cannot send %s', async (_, length, body) => {
    let found = 0;
    const upstream = await rig.net((socket) => {
      socket.on('data', (chunk) => {
        found += chunk.toString('latin1').split('hidden').length - 1;
      });
    });
    const { session, upstream: target } = await clientOf(upstream.port);
    const stream = open(session, { 'content-length': length });

    stream.end(body);

    await until(() => stream.closed && target.inFlight === 0);
    expect([stream.rstCode, found]).toEqual([1, 0]);
  });

  it('waits for whoever reads slowly, either way, and holds little meanwhile', { timeout: 20_000 }, async () => {
    const size = 8 * 1024 * 1024;
    const upstream = await rig.http(async (req, res) => {
      let read = 0;
      for await (const chunk of req) read += chunk.length;
      res.end(Buffer.alloc(size, read === size ? 'y' : 'n'));
    });
    const { session } = await clientOf(upstream.port);
    const slow = open(session, {});
    slow.end(Buffer.alloc(size, 'x'));
    const other = ask(session, {}, Buffer.alloc(size, 'x'));

    expect((await other).body.length).toBe(size); // though `slow` is not read at all
    let got = 0;
    for await (const chunk of slow) got += chunk.length;
    expect(got).toBe(size);
  });

  it('is stopped at the upstream when the client cancels, and reset when the upstream breaks off', async () => {
    const outcomes: (string | undefined)[] = [];
    const upstream = await rig.net((socket) => {
      socket.once('data', (chunk) => {
        if (chunk.includes('/breaks/')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123');
      });
    });
    const {
      session,
      relay,
      upstream: target,
    } = await clientOf(upstream.port, {
      onDone: ({ reason }) => outcomes.push(reason),
    });
    const cancelled = open(session, {});
    cancelled.end('{}');
    await until(() => target.inFlight === 1 && upstream.sockets.size === 1);

    cancelled.close(8);
    await until(() => upstream.sockets.size === 0);
    const broken = open(session, { ':path': '/v2/models/breaks/infer' });
    broken.resume().end('{}');
    await until(() => broken.closed);

    expect(broken.rstCode).toBe(2);
    expect(outcomes).toEqual(['client-gone', 'truncated']);
    expect([target.inFlight, relay.stats.connections]).toEqual([0, 1]);
  });

  it('takes an answer that comes before the body has', async () => {
    const upstream = await rig.net((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno'));
    });
    const { session, upstream: target } = await clientOf(upstream.port);
    const stream = open(session, { 'content-length': '1000' });
    stream.write('begin');

    expect(await bodyOf(stream as never)).toBe('no');
    await until(() => stream.closed && target.inFlight === 0);
  });
});
