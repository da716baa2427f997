import { Secret } from '@roundhouse/base';
import { startFakeGcs } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { credentialsFrom } from '../credentials.ts';
import { createHttp } from '../http-client.ts';
import { describeProvider } from '../provider.contract.ts';
import { parseStorageUri } from '../uri.ts';
import { gcs } from './gcs.ts';

const base = await credentialsFrom({ secretsDirectory: undefined, env: {} });

describeProvider('gs', async () => {
  const store = await startFakeGcs();
  const bucket = new Map<string, Uint8Array>();
  store.buckets.set('models', bucket);
  store.pageSize = 2;
  return {
    uri: (key) => `gs://models/${key}`,
    put: (key, body) => void bucket.set(key, Buffer.from(body)),
    credentials: { gcs: { endpoint: store.url, key: new Secret(store.serviceAccountKey) } },
    sockets: () => store.sockets,
    close: () => store.close(),
  };
});

describe('gcs', () => {
  const listing = async (configure: (store: Awaited<ReturnType<typeof startFakeGcs>>) => string | undefined) => {
    const store = await startFakeGcs();
    const http = createHttp();
    try {
      store.buckets.set('models', new Map([['iris/model.onnx', Buffer.from('weights')]]));
      const key = configure(store);
      const credentials = {
        ...base,
        gcs: { endpoint: store.url, key: key === undefined ? undefined : new Secret(key) },
      };
      const uri = parseStorageUri('gs://models/iris');
      if (uri.scheme !== 'gs') throw new Error('not Google');
      return await Array.fromAsync(gcs({ http, credentials }).list(uri, new AbortController().signal));
    } finally {
      await http.close();
      await store.close();
    }
  };

  it('reads a public bucket without a token', async () => {
    const found = await listing((store) => {
      store.open.add('models');
      return undefined;
    });

    expect(found).toMatchObject([{ path: 'model.onnx', sizeBytes: 7 }]);
  });

  it('is denied without a token, and says that it had none', async () => {
    const failure = listing(() => undefined);

    await expect(failure).rejects.toMatchObject({ code: 'storage/denied' });
    await expect(failure).rejects.toThrow('401 (anonymous: no credentials were found)');
  });

  it('is denied with the key of another account', async () => {
    const other = await startFakeGcs();
    await other.close();

    const failure = listing(() => other.serviceAccountKey);

    await expect(failure).rejects.toMatchObject({ code: 'storage/denied' });
  });

  it('is denied with what is not a key', async () => {
    await expect(listing(() => 'hello')).rejects.toThrow(
      'gcloud-application-credentials.json of the Secret is not the key of a service account',
    );
  });
});
