import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bodyOf, createRig, post, type Rig, until } from './testing/rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

const path = '/v1/models/a:predict';
const closing = ['Connection: close'];

describe('a relay', () => {
  it('takes a prediction to the upstream and its answer back, on connections that stay open', async () => {
    const seen: string[] = [];
    const upstream = await rig.http(async (req, res) => {
      seen.push(`${req.method} ${req.url} ${await bodyOf(req)} ${req.socket.remotePort}`);
      res.end(`{"n":${seen.length}}`);
    });
    const { port } = await rig.relay(upstream.port);
    const url = `http://127.0.0.1:${port}${path}`;

    const first = await (await fetch(url, { method: 'POST', body: '[1]' })).text();
    const second = await (await fetch(url, { method: 'POST', body: '[2]' })).text();

    expect([first, second]).toEqual(['{"n":1}', '{"n":2}']);
    expect(seen[0]).toContain(`POST ${path} [1] `);
    expect(seen[0]!.split(' ').at(-1)).toBe(seen[1]!.split(' ').at(-1));
  });

  it.each([
    ['nothing of its body', [], ['content-type', 'application/json']],
    ['its type', ['Content-Type: application/octet-stream'], ['Content-Type', 'application/octet-stream']],
    ['that it holds binary tensors', ['Inference-Header-Content-Length: 2'], ['Inference-Header-Content-Length', '2']],
  ])('names the type of an inference request that says %s, where it is told to', async (_, headers, expected) => {
    const upstream = await rig.http((req, res) => res.end(JSON.stringify(req.rawHeaders)));
    const { port } = await rig.relay(upstream.port, { untypedIs: 'application/json' });
    const all = ['Connection: close', 'Content-Length: 2', ...headers];
    const answer = await rig.exchange(port, post('/v2/models/m/infer', all, '{}'));
    const sent: string[] = JSON.parse(answer.split('\r\n\r\n')[1]!);
    const at = sent.findIndex((name) => /^(content-type|inference-header-content-length)$/i.test(name));

    expect(sent.slice(at, at + 2)).toEqual(expected);
    expect(sent.filter((name) => /^content-type$/i.test(name)).length).toBeLessThanOrEqual(1);
  });

  it('removes what concerns one hop only, and adds who it is', async () => {
    const upstream = await rig.http((req, res) => res.end(JSON.stringify(req.rawHeaders)));
    const { port } = await rig.relay(upstream.port, { edge: true });

    const headers = [
      'Connection: close, X-Secret, Host',
      'X-Secret: 1',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: x',
      'TE: trailers',
      'Upgrade: h2c',
      'HTTP2-Settings: x',
      'X-Kept: 2',
      'X-Forwarded-For: 1.2.3.4',
      'Content-Length: 002',
    ];
    const answer = await rig.exchange(port, post(path, headers, '{}'));

    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual([
      ...['Host', 'a', 'X-Kept', '2', 'X-Forwarded-For', '1.2.3.4'],
      ...['x-forwarded-for', '127.0.0.1', 'via', '1.1 test'],
      ...['x-request-id', expect.stringMatching(/^[0-9a-z]+-0{8}1$/), 'content-length', '2'],
    ]);
  });

  it('keeps a request id that came', async () => {
    const upstream = await rig.http((req, res) => res.end(String(req.headers['x-request-id'])));
    const { port } = await rig.relay(upstream.port);

    expect(await rig.exchange(port, post(path, [...closing, 'X-Request-Id: mine'], ''))).toMatch(/\r\n\r\nmine$/);
  });

  it('cuts a prefix, decodes the model, and turns an absolute target into a plain one', async () => {
    const upstream = await rig.http((req, res) => res.end(`${req.url} ${req.headers.host}`));
    const { port } = await rig.relay(upstream.port, {
      pathCut: ({ bytes, pathStart }) => (bytes[pathStart + 1] === 0x73 ? 6 : 0),
    });

    const cut = await rig.exchange(port, post('/serve/v1/models/%61%3apredict?q=%20', closing, ''));
    const absolute = await rig.exchange(port, `GET http://A:80/v2 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n`);

    expect(cut).toMatch(/\r\n\r\n\/v1\/models\/a:predict\?q=%20 a$/);
    expect(absolute).toMatch(/\r\n\r\n\/v2 A:80$/);
  });

  it.each([
    ['POST /v2/repository/index HTTP/1.1', 404, 'path-not-allowed'],
    ['GET /v1/models/a:predict HTTP/1.1', 405, 'method-not-allowed'],
    ['DELETE /v2/models/a HTTP/1.1', 405, 'method-not-allowed'],
    ['GET /v2/models/%00 HTTP/1.1', 400, 'malformed-path'],
    ['GET /v2 HTTP/3.0', 505, 'malformed-request'],
  ])('answers %s itself with %i', async (line, status, reason) => {
    const upstream = await rig.http((_, res) => res.end('reached'));
    const { port } = await rig.relay(upstream.port);

    const answer = await rig.exchange(port, `${line}\r\nHost: a\r\nConnection: close\r\n\r\n`);

    expect(answer).toContain(`HTTP/1.1 ${status} `);
    expect(answer).toContain(`x-roundhouse-reason: ${reason}\r\n`);
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual({ error: expect.any(String) });
  });

  it('answers requests that were sent ahead in their order', async () => {
    const upstream = await rig.http(async (req, res) => res.end(`<${req.url} ${await bodyOf(req)}>`));
    const { port } = await rig.relay(upstream.port);

    const requests = [
      post('/v1/models/a:predict', ['Content-Length: 1'], '1'),
      post('/v1/models/b:predict', ['Transfer-Encoding: chunked'], '2\r\n22\r\n0\r\n\r\n'),
      'GET /v2/nowhere HTTP/1.1\r\nHost: a\r\n\r\n',
      post('/v1/models/c:predict', ['Content-Length: 1', ...closing], '3'),
    ];
    const answer = await rig.exchange(port, requests.join(''));

    expect(answer.match(/<[^>]*>|HTTP\/1.1 404/g)).toEqual([
      '</v1/models/a:predict 1>',
      '</v1/models/b:predict 22>',
      'HTTP/1.1 404',
      '</v1/models/c:predict 3>',
    ]);
  });

  it('skips the small rest of a refused body, and gives up the connection for a large one', async () => {
    const upstream = await rig.http((_, res) => res.end('ok'));
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);

    client.send(post('/elsewhere', ['Content-Length: 5'], 'ab'));
    await until(() => client.text.includes('404'));
    client.send(`cde${post(path, ['Content-Length: 0'], '')}`);
    await until(() => client.text.endsWith('ok'));
    client.send(post('/elsewhere', ['Content-Length: 500000'], 'ab'));
    await until(() => client.closed);

    expect(client.text.match(/connection: close/g)).toHaveLength(1);
  });

  it('tells HEAD what GET would be told, without a body', async () => {
    const upstream = await rig.http((req, res) =>
      res.writeHead(200, { 'content-length': 5 }).end(req.method === 'HEAD' ? '' : 'hello'),
    );
    const { port } = await rig.relay(upstream.port);

    const get = 'GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const head = 'HEAD /v2 HTTP/1.1\r\nHost: a\r\n\r\n';
    const answer = await rig.exchange(port, `${head}${head}${get}`);

    expect(answer.match(/content-length: 5/g)).toHaveLength(3);
    expect(answer.match(/hello/g)).toHaveLength(1);
    expect(answer.endsWith('hello')).toBe(true);
  });

  it.each([204, 304])('gives a %i no body and goes on with the connection', async (status) => {
    const upstream = await rig.http((_, res) => res.writeHead(status).end());
    const { port } = await rig.relay(upstream.port);

    const get = (...lines: string[]) => ['GET /v2 HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n');
    const answer = await rig.exchange(port, get() + get(...closing));

    expect(answer.match(new RegExp(`HTTP/1.1 ${status}`, 'g'))).toHaveLength(2);
    expect(answer).not.toContain('transfer-encoding');
  });

  it('passes on 100 Continue and other interim answers', async () => {
    const upstream = await rig.http((_, res) => res.end('?'));
    upstream.server.on('checkContinue', async (req, res) => {
      res.writeEarlyHints({ link: '</a>' });
      res.writeContinue();
      res.end(await bodyOf(req));
    });
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);

    client.send(post(path, ['Content-Length: 4', 'Expect: 100-continue', ...closing], ''));
    await until(() => client.text.includes('HTTP/1.1 100 Continue\r\n\r\n'));
    client.send('body');
    await until(() => client.closed);

    expect(client.text).toContain('HTTP/1.1 103 Early Hints');
    expect(client.text).toMatch(/200 OK.*body$/s);
  });

  it('takes an answer that comes before the body has', async () => {
    const upstream = await rig.http((_, res) => res.writeHead(413, { 'content-length': 6 }).end('enough'));
    const { port } = await rig.relay(upstream.port);

    const answer = await rig.exchange(port, post(path, ['Content-Length: 100000'], 'x'));

    expect(answer).toMatch(/^HTTP\/1.1 413.*connection: close\r\n.*enough$/s);
  });

  it('passes chunks both ways and trailers of answers, and drops extensions and what would be dangerous', async () => {
    const upstream = await rig.http(async (req, res) => {
      const body = await bodyOf(req);
      res.writeHead(200, { trailer: 'x-sum' });
      res.write(`${body} ${JSON.stringify(req.rawTrailers)}`);
      res.addTrailers({ 'x-sum': '7', 'content-length': '9' });
      res.end();
    });
    const { port } = await rig.relay(upstream.port);

    const body = '3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-One: 1\r\nContent-Length: 3\r\n\r\n';
    const answer = await rig.exchange(port, post(path, ['Transfer-Encoding: chunked', ...closing], body));

    expect(answer).toContain('abcde []');
    expect(answer).toMatch(/\r\n0\r\nx-sum: 7\r\n\r\n$/);
  });

  it('serves HTTP/1.0: no chunks, and persistence only when asked for', async () => {
    const upstream = await rig.http((_, res) => {
      res.write('one ');
      res.end('two');
    });
    const { port } = await rig.relay(upstream.port);

    const chunked = await rig.exchange(port, 'GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    const refused = await rig.exchange(
      port,
      'GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /x HTTP/1.0\r\n\r\n',
    );

    expect(chunked).toMatch(/connection: close\r\n\r\none two$/);
    expect(refused.match(/connection: (keep-alive|close)/g)).toEqual(['connection: keep-alive', 'connection: close']);
  });

  it('chunks a body that ends with its connection, so that its end can be told from a failure', async () => {
    const upstream = await rig.net((socket) => {
      socket.once('data', () => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'));
    });
    const { port } = await rig.relay(upstream.port);

    const answer = await rig.exchange(port, 'GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\ntransfer-encoding: chunked\r\n.*\r\n9\r\nall of it\r\n0\r\n\r\n$/s);
  });
});
