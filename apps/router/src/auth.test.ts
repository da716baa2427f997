import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createRig as createGrpcRig,
  request as message,
  metadata,
  status,
} from '../../../packages/http-relay/src/h2/testing/rig.ts';
import { parseApiKeys } from './auth/api-keys.ts';
import { parseIssuers } from './auth/issuers.ts';
import { servicesOf } from './auth/services.ts';
import { aModel, aReplica, aService, createRig, type Rig, until, warm } from './testing/rig.ts';

let rig: Rig;
const stops: (() => void)[] = [];
beforeEach(async () => {
  rig = await createRig();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await rig.close();
});

const key = 'k'.repeat(64);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

async function routerWith(auth: readonly string[], files: Readonly<Record<string, string>>) {
  const directory = join(rig.directory, 'auth');
  await mkdir(directory);
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const seen: Record<string, unknown>[] = [];
  const agent = await rig.startAgent('a', (req, res) => {
    seen.push(req.headers);
    res.end('ok');
  });
  const control = await rig.startControl();
  rig.board.publish({
    services: [{ ...aService(), auth: [...auth] }],
    replicas: [aReplica(agent)],
    models: [aModel('iris', { a: warm })],
  });
  const router = await rig.startRouter(control.port, ['--auth-dir', directory]);
  const ask = (headers: Record<string, string> = {}, path = '/v1/models/iris') =>
    new Promise<{ status: number; reason: unknown; authenticate: unknown; body: string }>((resolve, reject) => {
      request({
        host: '127.0.0.1',
        port: router.port,
        path,
        headers: { host: 'examples-default.example.com', ...headers },
      })
        .on('response', async (answer) => {
          let body = '';
          for await (const chunk of answer.setEncoding('utf8')) body += chunk;
          const { 'x-roundhouse-reason': reason, 'www-authenticate': authenticate } = answer.headers;
          resolve({ status: answer.statusCode!, reason, authenticate, body });
        })
        .on('error', reject)
        .end();
    });
  await until(async () => (await ask()).status !== 503);
  return { ...router, ask, seen, directory };
}

/** An issuer of tokens, with its discovery document and its keys. */
async function anIssuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: '1', alg: 'ES256' };
  let asked = 0;
  const server = createServer((req, res) => {
    asked++;
    const isKeys = req.url === '/keys';
    res.end(JSON.stringify(isKeys ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/keys` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(
    () => void server.close(),
    () => server.closeAllConnections(),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const token = (claims: Record<string, unknown> = {}) =>
    new SignJWT({ iss: url, aud: 'models', sub: 'me', exp: Math.floor(Date.now() / 1_000) + 60, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: '1' })
      .sign(privateKey);
  return {
    url,
    token,
    asked: () => asked,
    file: JSON.stringify([{ issuer: url, audience: 'models', services: 'default/*' }]),
  };
}

describe('a service that asks for an API key', () => {
  it('is open to those whose key opens it, and the key goes no further', async () => {
    const lines = `# ours\nteam ${sha256(key)} default/*\n\nother sha256:${sha256('other')} elsewhere/examples\n`;
    const { ask, seen } = await routerWith(['api-key'], { 'api-keys': lines });

    expect(await ask({ 'x-api-key': key })).toMatchObject({ status: 200 });
    expect(await ask({ authorization: `Bearer ${key}` })).toMatchObject({ status: 200 });
    expect(await ask({ 'x-api-key': 'other' })).toMatchObject({ status: 403, reason: 'forbidden' });
    expect(await ask({ 'x-api-key': 'wrong' })).toMatchObject({ status: 401, reason: 'unauthenticated' });
    expect(await ask()).toMatchObject({ status: 401, authenticate: 'Bearer realm="default/examples"' });
    expect(await ask({}, '/v2/health/live')).toMatchObject({ status: 401 });
    expect(JSON.stringify(seen)).not.toContain(key);
    expect(seen).toHaveLength(2);
  });

  it.each([
    ['nothing is mounted', ['api-key'], {}],
    ['the file is broken', ['api-key'], { 'api-keys': `team ${key} default/*` }],
    ['it asks for what this router does not know', ['passport'], { 'api-keys': `team ${sha256(key)} *` }],
  ])('lets nobody in when %s', async (_, auth, files) => {
    const { ask } = await routerWith(auth, files);

    expect(await ask({ 'x-api-key': key })).toMatchObject({ status: 401, reason: 'unauthenticated' });
  });

  it('follows the file, and keeps what it said while it is broken', async () => {
    const { ask, directory } = await routerWith(['api-key'], { 'api-keys': `team ${sha256('old')} *` });
    const write = (text: string) => writeFile(join(directory, 'api-keys'), text);

    await write('nonsense');
    await write(`team ${sha256(key)} *`);
    await until(async () => (await ask({ 'x-api-key': key })).status === 200);

    expect(await ask({ 'x-api-key': 'old' })).toMatchObject({ status: 401 });
  });

  it('asks gRPC for it too', async () => {
    const { port } = await routerWith(['api-key'], { 'api-keys': `team ${sha256(key)} elsewhere/*` });
    const grpc = createGrpcRig();
    const client = grpc.grpc(port, { 'grpc.default_authority': 'examples-default.example.com' });

    expect((await client.failure('ModelInfer', message('iris'))).code).toBe(status.UNAUTHENTICATED);
    const shown = metadata({ 'x-api-key': key });
    expect((await client.failure('ModelInfer', message('iris'), shown)).code).toBe(status.PERMISSION_DENIED);
    await grpc.close();
  });
});

describe('a service that asks for a token', () => {
  it('verifies it by the keys of its issuer, once, and remembers', async () => {
    const issuer = await anIssuer();
    const { ask, seen } = await routerWith(['jwt'], { 'issuers.json': issuer.file });
    const authorization = `Bearer ${await issuer.token()}`;

    const answers = await Promise.all(Array.from({ length: 5 }, () => ask({ authorization })));

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(issuer.asked()).toBe(2); // its document and its keys
    expect(seen.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });

  it('refuses what is expired, for others, of others, or not signed by its key', async () => {
    const [issuer, stranger] = [await anIssuer(), await anIssuer()];
    const { ask } = await routerWith(['jwt', 'api-key'], { 'issuers.json': issuer.file });
    const bearer = async (token: string | Promise<string>) => ask({ authorization: `Bearer ${await token}` });
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await issuer.token()).split('.')[1]}.`;

    expect(await bearer(issuer.token({ exp: 1 }))).toMatchObject({
      status: 401,
      body: expect.stringContaining('expired'),
    });
    expect(await bearer(issuer.token({ aud: 'others' }))).toMatchObject({ body: expect.stringContaining('claim') });
    expect(await bearer(issuer.token({ exp: undefined }))).toMatchObject({ status: 401 });
    expect(await bearer(stranger.token())).toMatchObject({ status: 401 });
    expect(await bearer(stranger.token({ iss: issuer.url }))).toMatchObject({ status: 401 });
    expect(await bearer(none)).toMatchObject({ status: 401 });
    expect(await bearer('a.b.c')).toMatchObject({ status: 401, reason: 'unauthenticated' });
    expect(await bearer(issuer.token())).toMatchObject({ status: 200 });
  });

  it('says that it is not the token when the issuer cannot be asked', async () => {
    const issuer = await anIssuer();
    const { ask } = await routerWith(['jwt'], { 'issuers.json': issuer.file });
    const token = await issuer.token();
    for (const stop of stops.splice(0)) stop();

    expect(await ask({ authorization: `Bearer ${token}` })).toMatchObject({
      status: 503,
      reason: 'issuer-unavailable',
    });
  });

  it('asks each service by itself', async () => {
    const issuer = await anIssuer();
    const { ask } = await routerWith(['jwt'], { 'issuers.json': issuer.file.replace('default/*', 'elsewhere/*') });

    expect(await ask({ authorization: `Bearer ${await issuer.token()}` })).toMatchObject({ status: 403 });
  });
});

describe('files of rules', () => {
  it('name the line that is wrong', () => {
    expect(() => parseApiKeys('\na b c')).toThrow('line 2 of the API keys: the second word must be a SHA-256');
    expect(() => parseApiKeys(`a ${sha256('')}`)).toThrow('a name, a SHA-256 in hex, and services');
    expect(() => parseApiKeys(`a ${sha256('')} Team*`)).toThrow('"Team*" is none of');
    expect(() => parseIssuers('{')).toThrow('issuers.json is no JSON');
    expect(() => parseIssuers('[{"issuer":"a"}]')).toThrow(/issuers.json: .*audience/);
    expect(() => parseIssuers('[{"issuer":"a","audience":[],"services":"*"}]')).toThrow('names no audience');
  });

  it.each([
    ['*', 'a/b', true],
    ['a/*', 'a/b', true],
    ['a/*', 'ab/c', false],
    ['a/b', 'a/b', true],
    ['a/b', 'a/bc', false],
  ])('%s opens %s: %s', (pattern, service, opens) => {
    expect(servicesOf([pattern])(service)).toBe(opens);
  });
});
