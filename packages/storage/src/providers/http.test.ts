import { Secret } from '@roundhouse/base';
import { type FakeHttpStore, startFakeHttpStore } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialsFrom } from '../credentials.ts';
import { createHttp, type Http } from '../http-client.ts';
import { describeProvider } from '../provider.contract.ts';
import { parseStorageUri } from '../uri.ts';
import { http as httpProvider } from './http.ts';

describeProvider(
  'http',
  async () => {
    const store = await startFakeHttpStore();
    return {
      uri: (key) => `${store.url}/${key}?signature=secret`,
      put: (key, body) => void store.files.set(`/${key}`, { body: Buffer.from(body) }),
      credentials: {},
      sockets: () => store.sockets,
      close: () => store.close(),
    };
  },
  { singleObjects: true }, // HTTP has no listings
);

const base = await credentialsFrom({ secretsDirectory: undefined, env: {} });
const forever = new AbortController().signal;

describe('http', () => {
  let store: FakeHttpStore;
  let client: Http;
  beforeEach(async () => {
    store = await startFakeHttpStore();
    store.files.set('/model', { body: Buffer.from('weights'), contentType: 'application/gzip' });
    client = createHttp();
  });
  afterEach(async () => {
    await client.close();
    await store.close();
  });

  const open = (path: string, headers?: { host: string; headers: Secret<Record<string, string>> }) => {
    const uri = parseStorageUri(`${store.url}${path}`);
    if (uri.scheme !== 'http') throw new Error('not http');
    const provider = httpProvider({
      http: client,
      credentials: { ...base, http: headers === undefined ? [] : [headers] },
    });
    return {
      list: () => Array.fromAsync(provider.list(uri, forever)),
      async read(offset = 0) {
        const [object] = await Array.fromAsync(provider.list(uri, forever));
        if (object === undefined) throw new Error('nothing listed');
        return Buffer.concat(await (await provider.open(uri, object, { offset }, forever)).toArray()).toString();
      },
    };
  };

  it('follows redirects', async () => {
    store.redirects.set('/latest', '/model');

    expect(await open('/latest').read()).toBe('weights');
  });

  it('gives up on a circle of redirects', async () => {
    store.redirects.set('/latest', '/latest');

    await expect(open('/latest').list()).rejects.toThrow('redirects more than 5 times');
  });

  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://[fe80::1]/',
    'http://0xa9fea9fe/',
    'http://[::ffff:169.254.169.254]/',
  ])('is not led to %s', async (location) => {
    store.redirects.set('/latest', location);

    await expect(open('/latest').list()).rejects.toMatchObject({ code: 'storage/refused' });
  });

  it('is not led to other schemes', async () => {
    store.redirects.set('/latest', 'file:///etc/passwd');

    await expect(open('/latest').list()).rejects.toMatchObject({ code: 'storage/refused' });
  });

  it('sends the headers of a Secret to its host, and to no other', async () => {
    store.locked.set('/model', { authorization: 'Bearer abc' });
    const headers = new Secret({ authorization: 'Bearer abc' });

    expect(await open('/model', { host: new URL(store.url).host, headers }).read()).toBe('weights');
    await expect(open('/model', { host: 'models.example.com', headers }).list()).rejects.toMatchObject({
      code: 'storage/denied',
    });
  });

  it('does not know a size that the server does not tell, and reads on', async () => {
    store.knobs.chunked = true;
    store.knobs.withoutRanges = true;

    expect(await open('/model').list()).toMatchObject([{ sizeBytes: undefined, contentType: 'application/gzip' }]);
    expect(await open('/model').read()).toBe('weights');
  });

  it('skips what it has where the server does not know ranges', async () => {
    store.knobs.withoutRanges = true;

    expect(await open('/model').read(3)).toBe('ghts');
  });

  it('asks for the bytes as they are stored', async () => {
    let encoding: unknown;
    store.knobs.before = ({ headers }) => {
      encoding = headers['accept-encoding'];
    };
    await open('/model').list();

    expect(encoding).toBe('identity');
  });
});
