import { Secret } from '@roundhouse/base';
import { startFakeS3 } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { type Credentials, credentialsFrom, type S3Credentials } from '../credentials.ts';
import { createHttp } from '../http-client.ts';
import { describeProvider } from '../provider.contract.ts';
import { parseStorageUri } from '../uri.ts';
import { s3 } from './s3.ts';

const base = await credentialsFrom({ secretsDirectory: undefined, env: {} });

describeProvider('s3', async () => {
  const store = await startFakeS3();
  const bucket = new Map<string, Uint8Array>();
  store.buckets.set('models', bucket);
  store.pageSize = 2;
  return {
    uri: (key) => `s3://models/${key}`,
    put: (key, body) => void bucket.set(key, Buffer.from(body)),
    credentials: { s3: { ...base.s3, endpoint: store.url, keys: new Secret(store.keys) } },
    sockets: () => store.sockets,
    close: () => store.close(),
  };
});

describe('s3', () => {
  const listing = async (
    settings: (store: Awaited<ReturnType<typeof startFakeS3>>) => Partial<S3Credentials>,
    uri = 's3://models/iris',
  ) => {
    const store = await startFakeS3();
    const http = createHttp();
    try {
      store.buckets.set('models', new Map([['iris/model.onnx', Buffer.from('weights')]]));
      const credentials: Credentials = { ...base, s3: { ...base.s3, endpoint: store.url, ...settings(store) } };
      const parsed = parseStorageUri(uri);
      if (parsed.scheme !== 's3') throw new Error('not S3');
      return await Array.fromAsync(s3({ http, credentials }).list(parsed, new AbortController().signal));
    } finally {
      await http.close();
      await store.close();
    }
  };

  it('is denied with a wrong key, and says that it used the Secret', async () => {
    const keys = { accessKeyId: 'AKIAROUNDHOUSE', secretAccessKey: 'wrong' };

    const failure = listing(() => ({ keys: new Secret(keys) }));

    await expect(failure).rejects.toMatchObject({ code: 'storage/denied' });
    await expect(failure).rejects.toThrow('403 SignatureDoesNotMatch (with the keys of the Secret)');
  });

  it('reads a public bucket without a signature', async () => {
    const found = await listing((store) => {
      store.open.add('models');
      return { anonymous: true };
    });

    expect(found).toMatchObject([{ path: 'model.onnx' }]);
  });

  it('tells a bucket that is not there', async () => {
    await expect(listing(({ keys }) => ({ keys: new Secret(keys) }), 's3://none-such/iris')).rejects.toMatchObject({
      code: 'storage/not-found',
      message: 'listing s3://none-such/iris/: the store answered 404 NoSuchBucket',
    });
  });

  it('calls a throttled or absent server unavailable, so that it is tried again', async () => {
    await expect(
      listing((store) => {
        store.knobs.failures = 1;
        return { keys: new Secret(store.keys) };
      }),
    ).rejects.toMatchObject({ code: 'storage/unavailable' });
    await expect(
      listing(({ keys }) => ({ endpoint: 'http://127.0.0.1:1', keys: new Secret(keys) })),
    ).rejects.toMatchObject({
      code: 'storage/unavailable',
    });
  });

  it('does not go to a metadata address, whatever a Secret says', async () => {
    await expect(
      listing(({ keys }) => ({ endpoint: 'http://169.254.169.254', keys: new Secret(keys) })),
    ).rejects.toMatchObject({
      code: 'storage/refused',
    });
  });
});
