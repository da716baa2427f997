import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Authority, createAuthority } from '../../control-protocol/src/testing/certificates.ts';
import { createRig, type GrpcRig } from './h2/testing/rig.ts';
import type { RelayOptions, TlsPort } from './relay.ts';
import { bodyOf, type HttpHandler, post, until } from './testing/rig.ts';

const name = 'models.example.com';
let rig: GrpcRig;
let authority: Authority;
beforeEach(async () => {
  rig = createRig();
  authority = await createAuthority();
});
afterEach(() => rig.close());

const echo: HttpHandler = (req, res) => req.pipe(res);

async function secured(port: number, options: Partial<RelayOptions> = {}) {
  const made = await rig.relay(port, options);
  const identity = await authority.issue(name);
  const tls: TlsPort = await made.relay.listenTls({ host: '127.0.0.1', port: 0 }, identity);
  return { ...made, tls, identity };
}

const tlsOptions = () => ({ host: '127.0.0.1', servername: name, ca: authority.ca });

async function secureSocket(port: number, alpn?: string[]): Promise<TLSSocket> {
  const socket = connectTls({ ...tlsOptions(), port, ...(alpn && { ALPNProtocols: alpn }) });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends `text` and returns what comes until `done`. */
async function say(socket: TLSSocket, text: string, done: (answer: string) => boolean): Promise<string> {
  let answer = '';
  const listen = (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  };
  socket.on('data', listen);
  socket.write(text);
  await until(() => done(answer) || socket.destroyed);
  socket.off('data', listen);
  return answer;
}

const whole = (answer: string) => answer.endsWith('0\r\n\r\n');

function serialOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256;
}

describe('a port with TLS', () => {
  it('serves Node.js, which asks for HTTP/1.1', async () => {
    const { tls } = await secured((await rig.http(echo)).port);
    const agent = new Agent({ keepAlive: true });
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        httpsRequest({ ...tlsOptions(), agent, port: tls.port, method: 'POST', path: '/v1/models/a:predict' })
          .on('response', async (response) => resolve(await bodyOf(response)))
          .on('error', reject)
          .end('{"a":1}');
      });

    expect([await ask(), await ask()]).toEqual(['{"a":1}', '{"a":1}']);
    agent.destroy();
  });

  it('serves clients that agree on HTTP/2: gRPC and HTTP side by side', async () => {
    const server = await rig.server({});
    const http = await rig.http(echo);
    const { relay, tls } = await secured(1, { pick: (head) => (head.modelName() === 'iris' ? grpcTo : httpTo) });
    const grpcTo = relay.upstream({ host: '127.0.0.1', port: server.port });
    const httpTo = relay.upstream({ host: '127.0.0.1', port: http.port });
    const credentials = grpc.credentials.createSsl(Buffer.from(authority.ca));
    const client = rig.grpc(
      tls.port,
      { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': 'a' },
      credentials,
    );
    const session = connectHttp2(`https://${name}`, {
      ca: authority.ca,
      createConnection: () => connectTls({ ...tlsOptions(), port: tls.port, ALPNProtocols: ['h2'] }),
    });
    const stream = session.request({ ':method': 'POST', ':path': '/v1/models/rose:predict' });
    stream.end('{"b":2}');
    const answers = await Promise.all([client.infer('iris'), bodyOf(stream as never)]);

    expect(answers.map(String)).toEqual(['\n\x04iris', '{"b":2}']);
    session.destroy();
  });

  it('takes a client without ALPN by what it says', async () => {
    const { tls } = await secured((await rig.http(echo)).port);
    const socket = await secureSocket(tls.port);

    const answer = await say(socket, post('/v1/models/a:predict', ['Content-Length: 2'], '{}'), whole);

    expect(socket.alpnProtocol).toBe(false);
    expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
    socket.destroy();
  });

  it('serves curl in either protocol', async ({ skip }) => {
    const run = promisify(execFile);
    const version = await run('curl', ['--version']).catch(() => undefined);
    if (!version?.stdout.includes('HTTP2')) skip('no curl with HTTP/2 here');
    const directory = await mkdtemp(join(tmpdir(), 'tls-'));
    await writeFile(join(directory, 'ca.crt'), authority.ca);
    const { tls } = await secured((await rig.http(echo)).port);
    const curl = async (...args: string[]) =>
      (
        await run('curl', [
          ...['--silent', '--show-error', '--cacert', join(directory, 'ca.crt'), '--max-time', '10'],
          ...['--resolve', `${name}:${tls.port}:127.0.0.1`, '--write-out', ' %{http_version} %{http_code}', ...args],
          `https://${name}:${tls.port}/v2/models/a/infer`,
        ])
      ).stdout;

    expect(await curl('--data', '{"x":1}')).toBe('{"x":1} 2 200');
    expect(await curl('--data', '{"x":1}', '--http1.1')).toBe('{"x":1} 1.1 200');
    await rm(directory, { recursive: true });
  });

  it('takes a new certificate for new connections, while those that are open go on', async () => {
    const { tls } = await secured((await rig.http(echo)).port);
    const question = post('/v1/models/a:predict', ['Content-Length: 2'], '{}');
    const before = await secureSocket(tls.port, ['http/1.1']);
    await say(before, question, whole);

    tls.renew(await authority.issue(name));
    const after = await secureSocket(tls.port, ['http/1.1']);

    expect(serialOf(after)).not.toBe(serialOf(before));
    expect(await say(before, question, whole)).toContain('200 OK');
    expect(await say(after, question, whole)).toContain('200 OK');
    for (const socket of [before, after]) socket.destroy();
  });

  it('keeps its certificate when the new one does not fit its key', async () => {
    const { tls, identity } = await secured(1);
    const { key } = await authority.issue(name);

    expect(() => tls.renew({ cert: identity.cert, key })).toThrow();
    const socket = await secureSocket(tls.port);
    expect(socket.authorized).toBe(true);
    socket.destroy();
  });

  it('closes on what is no TLS, and on a handshake that does not end', async () => {
    const { tls } = await secured(1, { limits: { headTimeoutMs: 200 } });
    const plain = await rig.client(tls.port);
    const silent = connectPlain(tls.port, '127.0.0.1');
    silent.on('error', () => {});

    plain.send('GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n');

    await until(() => plain.closed && silent.destroyed);
    expect(plain.text).not.toContain('HTTP/');
  });

  it('lets no client take an answer that breaks off for a whole one', async () => {
    const upstream = await rig.net((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'));
    });
    const { tls } = await secured(upstream.port);
    const socket = await secureSocket(tls.port, ['http/1.1']);
    let ended = false;
    socket.on('end', () => {
      ended = true;
    });

    const answer = await say(socket, post('/v1/models/a:predict', ['Content-Length: 0'], ''), () => ended);

    expect(answer).toMatch(/content-length: 10\r\n\r\n123$/i); // 7 bytes are missing, and the connection is gone
    expect(socket.destroyed || ended).toBe(true);
  });

  it('frees everything when a client hangs up', async () => {
    const upstream = await rig.net((socket) => socket.resume());
    const { tls, relay, upstream: target } = await secured(upstream.port);
    const socket = await secureSocket(tls.port, ['http/1.1']);
    socket.write(post('/v1/models/a:predict', ['Content-Length: 2'], '{}'));
    await until(() => target.inFlight === 1 && upstream.sockets.size === 1);

    socket.destroy();

    await until(() => target.inFlight === 0 && upstream.sockets.size === 0 && relay.stats.connections === 0);
  });

  it('finishes what is in flight when it is closed, then lets nobody in', async () => {
    let finish: (() => void) | undefined;
    const upstream = await rig.http((_, res) => {
      finish = () => res.end('done');
    });
    const { tls, relay, upstream: target } = await secured(upstream.port);
    const [busy, idle] = [await secureSocket(tls.port), await secureSocket(tls.port)];
    let answer = '';
    busy.on('data', (chunk) => {
      answer += chunk;
    });
    idle.resume();
    busy.write(post('/v1/models/a:predict', ['Content-Length: 0'], ''));
    await until(() => finish !== undefined && target.inFlight === 1 && relay.stats.connections === 2);

    const closed = relay.close(new AbortController().signal);
    await until(() => idle.destroyed);
    finish!();
    await closed;

    await until(() => busy.destroyed);
    expect(answer).toMatch(/done$/);
  });
});
