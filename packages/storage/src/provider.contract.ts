import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Credentials, credentialsFrom } from './credentials.ts';
import { createHttp, type Http } from './http-client.ts';
import type { StorageProvider, StoredObject } from './provider.ts';
import { createProviders } from './providers/index.ts';
import { parseStorageUri } from './uri.ts';

/** A store that has been started for one test. */
export type StoreUnderTest = {
  /** The URI of a tree or object. */
  uri(key: string): string;
  put(key: string, body: string): Promise<void> | void;
  readonly credentials: Partial<Credentials>;
  readonly fileRoots?: readonly string[];
  /** Connections that the store has open, if it can tell. */
  sockets?(): number;
  close(): Promise<void>;
};

export type ProviderExceptions = {
  /** It has no listings: each URI is one object. */
  readonly singleObjects?: boolean;
};

const forever = new AbortController().signal;

/** What every provider does, whatever it reads from. An exception needs a reason. */
export function describeProvider(
  name: string,
  start: () => Promise<StoreUnderTest>,
  exceptions: ProviderExceptions = {},
): void {
  describe(`provider ${name}`, () => {
    let store: StoreUnderTest;
    let http: Http;
    let provider: (uri: string) => Promise<StorageProvider>;
    beforeEach(async () => {
      store = await start();
      http = createHttp();
      const providers = createProviders({ http, fileRoots: store.fileRoots ?? [] });
      const credentials = {
        ...(await credentialsFrom({ secretsDirectory: undefined, env: {} })),
        ...store.credentials,
      };
      provider = (uri) => providers.open(parseStorageUri(uri).scheme, credentials);
    });
    afterEach(async () => {
      await http.close();
      await store.close();
    });

    const list = async (uri: string, signal = forever): Promise<StoredObject[]> =>
      Array.fromAsync((await provider(uri)).list(parseStorageUri(uri), signal));
    const read = async (uri: string, object: StoredObject, offset = 0, signal = forever): Promise<string> => {
      const stream = await (await provider(uri)).open(parseStorageUri(uri), object, { offset }, signal);
      return Buffer.concat(await stream.toArray()).toString();
    };
    const only = ([object, ...more]: StoredObject[]): StoredObject => {
      expect(more).toEqual([]);
      return object as StoredObject;
    };

    it('lists a single object under its own name, with size and version', async () => {
      await store.put('iris/model.onnx', 'weights');

      const object = only(await list(store.uri('iris/model.onnx')));

      expect(object).toMatchObject({ path: 'model.onnx', single: true, sizeBytes: 7 });
      expect(object.version).toBeTypeOf('string');
      expect(await read(store.uri('iris/model.onnx'), object)).toBe('weights');
    });

    it('reads from an offset', async () => {
      await store.put('iris/model.onnx', 'weights');
      const object = only(await list(store.uri('iris/model.onnx')));

      expect(await read(store.uri('iris/model.onnx'), object, 3)).toBe('ghts');
    });

    it('reads an empty object', async () => {
      await store.put('iris/empty', '');
      const object = only(await list(store.uri('iris/empty')));

      expect(object.sizeBytes).toBe(0);
      expect(await read(store.uri('iris/empty'), object)).toBe('');
    });

    it('notices that an object changed between list and open', async () => {
      await store.put('iris/model.onnx', 'weights');
      const object = only(await list(store.uri('iris/model.onnx')));

      await store.put('iris/model.onnx', 'WEIGHTS');

      await expect(read(store.uri('iris/model.onnx'), object)).rejects.toMatchObject({ code: 'storage/changed' });
    });

    it('notices that an object is gone between list and open', async () => {
      const object = { key: 'iris/none', path: 'none', single: false, sizeBytes: 1, version: '"1"' };
      await store.put('iris/model.onnx', 'weights');

      await expect(read(store.uri('iris/none'), object)).rejects.toMatchObject({
        code: expect.stringMatching(/^storage\/(not-found|refused)$/),
      });
    });

    it('finds nothing, or says so, where nothing is', async () => {
      await store.put('iris/model.onnx', 'weights');

      const found = await list(store.uri('missing')).catch((error) => error.code);

      expect([[], 'storage/not-found']).toContainEqual(found);
    });

    it('ends promptly with an aborted signal', async () => {
      await store.put('iris/model.onnx', 'weights');
      const reason = new Error('called off');

      await expect(list(store.uri('iris/model.onnx'), AbortSignal.abort(reason))).rejects.toThrow();
    });

    it('names what it could not read, and no more', async () => {
      await store.put('iris/model.onnx', 'weights');
      const object = { ...only(await list(store.uri('iris/model.onnx'))), version: '"other"' };

      const message = await read(store.uri('iris/model.onnx'), object).catch((error: Error) => error.message);

      expect(message).toContain('iris/model.onnx');
      expect(message).not.toMatch(/[?&]\w+=/);
    });

    it('lets go of its connection when it is called off in the middle', async () => {
      await store.put('iris/model.onnx', 'weights'.repeat(1_000_000));
      const object = only(await list(store.uri('iris/model.onnx')));
      const controller = new AbortController();
      const stream = await (await provider(store.uri('iris/model.onnx'))).open(
        parseStorageUri(store.uri('iris/model.onnx')),
        object,
        { offset: 0 },
        controller.signal,
      );
      stream.on('error', () => {});

      controller.abort();
      stream.destroy();
      await http.close();

      await expect.poll(() => store.sockets?.() ?? 0).toBe(0);
    });

    if (!exceptions.singleObjects) describeListing();

    function describeListing() {
      it('lists a tree over many pages, without its siblings', async () => {
        const names = Array.from({ length: 7 }, (_, index) => `part-${index}.bin`);
        for (const name of names) await store.put(`iris/1/${name}`, name);
        await store.put('iris-v2/model.onnx', 'sibling');

        const objects = await list(store.uri('iris'));

        expect(objects.map(({ path }) => path).sort()).toEqual(names.map((name) => `1/${name}`));
        expect(objects.every(({ single }) => !single)).toBe(true);
      });

      it.each(['with a space', 'plus+percent%25', 'ünïcode', '&<">\'', 'a=b;c,d', '..hidden', '~!*()'])(
        'reads a name like %j',
        async (name) => {
          await store.put(`iris/${name}`, name);

          const object = only(await list(store.uri('iris')));

          expect(object.path).toBe(name);
          expect(await read(store.uri('iris'), object)).toBe(name);
        },
      );
    }
  });
}
