import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Secret, systemClock } from '@roundhouse/base';
import {
  type FakeHttpStore,
  type FakeS3,
  startFakeHttpStore,
  startFakeS3,
  stepClock,
  tarOf,
} from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialsFrom } from './credentials.ts';
import {
  createMaterializer,
  type MaterializeRequest,
  type Materializer,
  type MaterializerDeps,
} from './materialize.ts';
import { parseStorageUri } from './uri.ts';

const forever = new AbortController().signal;
const base = await credentialsFrom({ secretsDirectory: undefined, env: {} });
const weights = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
const sha256Of = (body: Uint8Array) => createHash('sha256').update(body).digest('hex');

let directory: string;
let web: FakeHttpStore;
let s3: FakeS3;
let materializers: Materializer[];
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'storage-')));
  web = await startFakeHttpStore();
  s3 = await startFakeS3();
  materializers = [];
});
afterEach(async () => {
  await Promise.all(materializers.map((materializer) => materializer.close()));
  await web.close();
  await s3.close();
  await rm(directory, { recursive: true });
});

function setUp(deps: Partial<MaterializerDeps> = {}) {
  const materializer = createMaterializer({
    ...{ clock: systemClock, random: () => 0, fileRoots: [join(directory, 'root')] },
    ...deps,
  });
  materializers.push(materializer);
  return (uri: string, more: Partial<MaterializeRequest> = {}, signal = forever) => {
    const credentials = { ...base, s3: { ...base.s3, endpoint: s3.url, keys: new Secret(s3.keys) } };
    const request = { uri: parseStorageUri(uri), directory: join(directory, 'staging'), credentials, ...more };
    return materializer.materialize(request, signal);
  };
}

const staged = (path: string) => readFile(join(directory, 'staging', path));
const left = async () => (await readdir(directory)).filter((name) => name !== 'root');

describe('materialize', () => {
  it('copies a directory from below a root', async () => {
    await mkdir(join(directory, 'root/iris/1'), { recursive: true });
    await writeFile(join(directory, 'root/iris/1/model.onnx'), 'weights', { mode: 0o755 });
    await writeFile(join(directory, 'root/iris/config.json'), '{}');

    const done = await setUp()(`file://${directory}/root/iris`);

    expect(done).toMatchObject({ files: 2, bytes: 9 });
    expect(done.objects).toHaveLength(2);
    expect((await staged('1/model.onnx')).toString()).toBe('weights');
  });

  it('brings a tree of a bucket, and tells how far it is', async () => {
    s3.buckets.set(
      'models',
      new Map(Array.from({ length: 50 }, (_, i) => [`iris/${i % 5}/part-${i}`, weights.subarray(0, i)])),
    );
    s3.pageSize = 7;
    const seen: number[] = [];

    const done = await setUp()('s3://models/iris', {
      onProgress: ({ bytes, totalBytes }) => {
        expect(totalBytes).toBe(1225);
        seen.push(bytes);
      },
    });

    expect(done).toMatchObject({ files: 50, bytes: 1225 });
    expect(seen.at(-1)).toBe(1225);
    expect(await staged('4/part-49')).toEqual(weights.subarray(0, 49));
  });

  it('unpacks an archive, checked by its checksum', async () => {
    const body = gzipSync(tarOf([{ path: 'iris/model.onnx', body: weights }]));
    web.files.set('/download', { body, contentType: 'application/x-gzip' });

    const done = await setUp()(`${web.url}/download`, { sha256: sha256Of(body) });

    expect(done).toMatchObject({ files: 1, bytes: weights.length });
    expect(await staged('iris/model.onnx')).toEqual(weights);
  });

  it('refuses what has another checksum, and leaves nothing', async () => {
    web.files.set('/model.onnx', { body: weights });

    await expect(setUp()(`${web.url}/model.onnx`, { sha256: '0'.repeat(64) })).rejects.toThrow(
      `/model.onnx has the SHA-256 ${sha256Of(weights)}, not the wanted 000`,
    );
    expect(await left()).toEqual([]);
  });

  it('refuses a checksum for a tree', async () => {
    s3.buckets.set('models', new Map(['a', 'b'].map((name) => [`iris/${name}`, weights])));

    await expect(setUp()('s3://models/iris', { sha256: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'storage/invalid',
    });
  });

  it('refuses an archive that grows beyond its ratio', async () => {
    web.files.set('/bomb.tgz', { body: gzipSync(tarOf([{ path: 'zeros', body: Buffer.alloc(80 * 1024 ** 2) }])) });

    await expect(setUp()(`${web.url}/bomb.tgz`)).rejects.toThrow('grows to more than 200 times its size');
    expect(await left()).toEqual([]);
  });

  it('says that nothing is there', async () => {
    s3.buckets.set('models', new Map([['iris-v2/model', weights]]));

    await expect(setUp()('s3://models/iris')).rejects.toMatchObject({
      code: 'storage/not-found',
      message: 'nothing is at s3://models/iris',
    });
  });

  it.each(['iris/../../evil', 'iris//evil', 'iris/a\\..\\evil', 'iris/./evil', 'iris/\u0001'])(
    'refuses the key %j',
    async (key) => {
      s3.buckets.set('models', new Map([[key, weights]]));

      await expect(setUp()('s3://models/iris')).rejects.toMatchObject({ code: 'storage/invalid' });
      expect(await left()).toEqual([]);
    },
  );

  it('refuses more files and more bytes than it may', async () => {
    s3.buckets.set('models', new Map(['a', 'b', 'c'].map((name) => [`iris/${name}`, weights])));

    await expect(setUp({ limits: { entriesMax: 2 } })('s3://models/iris')).rejects.toThrow('has more than 2 files');
    await expect(setUp({ limits: { artifactBytesMax: 500_000 } })('s3://models/iris')).rejects.toThrow(
      'is larger than 500000 bytes',
    );
  });

  it('stops at the bound of bytes where a server tells no size', async () => {
    web.files.set('/model', { body: weights });
    web.knobs.chunked = true;
    web.knobs.withoutRanges = true;

    await expect(setUp({ limits: { artifactBytesMax: 100_000 } })(`${web.url}/model`)).rejects.toMatchObject({
      code: 'storage/refused',
    });
  });

  it('says at once that the disk has no room, and what to do', async () => {
    await mkdir(join(directory, 'root'));
    const sparse = await open(join(directory, 'root/huge'), 'w');
    await sparse.truncate(8 * 1024 ** 4);
    await sparse.close();

    const failure = setUp({ limits: { artifactBytesMax: 16 * 1024 ** 4 } })(`file://${directory}/root/huge`);

    await expect(failure).rejects.toMatchObject({ code: 'storage/no-space' });
    await expect(failure).rejects.toThrow(/remove models, or give the volume a larger size limit/);
  });

  it('asks for room before it takes it: for an archive, and for what comes out of it beside it', async () => {
    const archive = gzipSync(tarOf([{ path: 'model.onnx', body: Buffer.alloc(1_000_000) }]));
    web.files.set('/model.tar.gz', { body: archive });
    const asked: number[] = [];
    const reserve = (bytes: number) => {
      asked.push(bytes);
      return bytes > 500_000 ? 'the volume is full' : undefined;
    };

    const failure = setUp()(`${web.url}/model.tar.gz`, { reserve });

    await expect(failure).rejects.toMatchObject({ code: 'storage/no-space' });
    await expect(failure).rejects.toThrow(/no room for .*model\.tar\.gz: the volume is full/);
    expect(asked[0]).toBe(archive.length);
    expect(await left()).toEqual([]);

    await setUp()(`${web.url}/model.tar.gz`, { reserve: (bytes) => void asked.push(bytes) });
    expect(Math.max(...asked)).toBeGreaterThanOrEqual(1_000_000 + archive.length);
  });

  it('does not write into a directory that exists', async () => {
    await mkdir(join(directory, 'staging'));
    await writeFile(join(directory, 'staging/precious'), '');
    web.files.set('/model', { body: weights });

    await expect(setUp()(`${web.url}/model`)).rejects.toThrow('EEXIST');
    expect(await readdir(join(directory, 'staging'))).toEqual(['precious']);
  });
});

describe('a transfer that breaks', () => {
  it('goes on where it broke', async () => {
    web.files.set('/model', { body: weights });
    Object.assign(web.knobs, { cuts: 3, cutAfterBytes: 70_000 });

    await setUp()(`${web.url}/model`);

    expect(await staged('model')).toEqual(weights);
    expect(web.requests.length).toBeGreaterThanOrEqual(5);
  });

  it('survives a server that is out of order for a moment', async () => {
    s3.buckets.set('models', new Map([['iris', weights]]));
    let listings = 0;
    s3.knobs.before = ({ url }) => {
      if (url?.includes('list-type') && ++listings === 2) s3.knobs.failures = 0;
      else if (!url?.includes('list-type') && s3.requests.length < 5) s3.knobs.failures = 1;
    };

    await setUp()('s3://models/iris');

    expect(await staged('iris')).toEqual(weights);
  });

  it('gives up after a few times without progress', async () => {
    web.files.set('/model', { body: weights });
    Object.assign(web.knobs, { cuts: 1_000, cutAfterBytes: 0 });
    web.knobs.before = ({ headers }) => {
      web.knobs.cuts = headers.range === 'bytes=0-0' ? 0 : 1;
    };

    await expect(setUp()(`${web.url}/model`)).rejects.toMatchObject({ code: 'storage/unavailable' });
    expect(web.requests).toHaveLength(1 + 5);
    expect(await left()).toEqual([]);
  });

  it('is not glued together from two versions', async () => {
    web.files.set('/model', { body: weights });
    Object.assign(web.knobs, { cuts: 1, cutAfterBytes: 70_000 });
    web.knobs.before = () => {
      if (web.requests.length === 3) web.files.set('/model', { body: Buffer.from(weights).reverse() });
    };

    await expect(setUp()(`${web.url}/model`)).rejects.toMatchObject({ code: 'storage/changed' });
    expect(await left()).toEqual([]);
  });

  it('is not taken up where the server gives no version', async () => {
    web.files.set('/model', { body: weights });
    Object.assign(web.knobs, { cuts: 1, cutAfterBytes: 70_000, withoutEtags: true });

    await expect(setUp()(`${web.url}/model`)).rejects.toMatchObject({ code: 'storage/unavailable' });
  });

  it('is given up when the store falls silent', async () => {
    const clock = stepClock();
    web.files.set('/model', { body: weights });
    const silent = Promise.withResolvers<void>();
    web.knobs.before = () => silent.promise;

    const failure = setUp({ clock })(`${web.url}/model`);
    failure.catch(() => {});
    await expect.poll(() => web.requests.length).toBe(1);
    clock.advance(30_000);

    await expect(failure).rejects.toThrow('the store sent nothing for 30 s');
    silent.resolve();
  });
});

describe('many artifacts', () => {
  it('come in parallel', async () => {
    const gate = Promise.withResolvers<void>();
    web.knobs.before = async () => {
      if (web.underWay === 20) gate.resolve(); // nobody goes on before all twenty are there
      await gate.promise;
    };
    const materialize = setUp();
    const names = Array.from({ length: 20 }, (_, index) => `model-${index}`);
    for (const name of names) web.files.set(`/${name}`, { body: Buffer.from(name) });

    await Promise.all(names.map((name) => materialize(`${web.url}/${name}`, { directory: join(directory, name) })));

    expect(web.mostUnderWay).toBe(20);
    expect((await readFile(join(directory, 'model-7/model-7'))).toString()).toBe('model-7');
  });

  it('keep to the bound of connections together', async () => {
    const materialize = setUp({ limits: { connectionsMax: 3 } });
    s3.buckets.set(
      'models',
      new Map(Array.from({ length: 40 }, (_, i) => [`m${i % 4}/${i}`, weights.subarray(0, 1000)])),
    );

    await Promise.all(
      [0, 1, 2, 3].map((i) => materialize(`s3://models/m${i}`, { directory: join(directory, `m${i}`) })),
    );

    expect(s3.mostUnderWay).toBeLessThanOrEqual(3);
    expect(await readdir(join(directory, 'm3'))).toHaveLength(10);
  });

  it('are called off one by one, promptly, without a file or socket left', async () => {
    web.files.set('/model', { body: weights });
    web.files.set('/other', { body: weights });
    const never = Promise.withResolvers<void>();
    web.knobs.before = ({ url, headers }) =>
      url === '/model' && headers.range === undefined ? never.promise : undefined;
    const materialize = setUp();
    const controller = new AbortController();

    const called = materialize(`${web.url}/model`, {}, controller.signal);
    called.catch(() => {});
    await materialize(`${web.url}/other`, { directory: join(directory, 'other') });
    await expect.poll(() => web.underWay).toBe(1);
    controller.abort(new Error('called off'));

    await expect(called).rejects.toThrow('called off');
    await expect.poll(() => web.underWay).toBe(0);
    expect(await left()).toEqual(['other']);
    never.resolve();
  });
});
