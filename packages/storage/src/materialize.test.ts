import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { startFakeHttpStore } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialsFrom } from './credentials.ts';
import { createMaterializer } from './materialize.ts';
import { parseStorageUri } from './uri.ts';

const forever = new AbortController().signal;
const credentials = await credentialsFrom({ secretsDirectory: undefined, env: {} });

let directory: string;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'storage-')));
});
afterEach(() => rm(directory, { recursive: true }));

describe('materialize', () => {
  it('copies a directory from below a root', async () => {
    await mkdir(join(directory, 'root/iris/1'), { recursive: true });
    await writeFile(join(directory, 'root/iris/1/model.onnx'), 'weights');
    await writeFile(join(directory, 'root/iris/config.json'), '{}');
    const materializer = createMaterializer({
      clock: systemClock,
      random: () => 0.5,
      fileRoots: [join(directory, 'root')],
    });

    const uri = parseStorageUri(`file://${directory}/root/iris`);
    const done = await materializer.materialize({ uri, directory: join(directory, 'staging'), credentials }, forever);

    expect(done).toMatchObject({ files: 2, bytes: 9 });
    expect(await readFile(join(directory, 'staging/1/model.onnx'), 'utf8')).toBe('weights');
  });

  it('fetches a file over HTTP', async () => {
    const store = await startFakeHttpStore();
    const materializer = createMaterializer({ clock: systemClock, random: () => 0.5, fileRoots: [] });
    try {
      store.files.set('/iris/model.onnx', { body: Buffer.from('weights') });

      const uri = parseStorageUri(`${store.url}/iris/model.onnx?signature=abc`);
      await materializer.materialize({ uri, directory: join(directory, 'staging'), credentials }, forever);

      expect(await readdir(join(directory, 'staging'))).toEqual(['model.onnx']);
    } finally {
      await materializer.close();
      await store.close();
    }
  });
});
