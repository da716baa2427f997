import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeProvider } from '../provider.contract.ts';
import { parseStorageUri } from '../uri.ts';
import { file } from './file.ts';

const newDirectory = async () => realpath(await mkdtemp(join(tmpdir(), 'storage-file-')));

describeProvider('file', async () => {
  const root = await newDirectory();
  return {
    uri: (key) => pathToFileURL(join(root, key)).href,
    async put(key, body) {
      await mkdir(dirname(join(root, key)), { recursive: true });
      await writeFile(join(root, key), body);
    },
    credentials: {},
    fileRoots: [root],
    close: () => rm(root, { recursive: true }),
  };
});

describe('file', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await newDirectory();
    await mkdir(join(directory, 'root/iris'), { recursive: true });
    await writeFile(join(directory, 'secret'), 'secret');
  });
  afterEach(() => rm(directory, { recursive: true }));

  const list = (path: string, fileRoots = [join(directory, 'root')]) => {
    const uri = parseStorageUri(`file://${directory}/${path}`);
    if (uri.scheme !== 'file') throw new Error('not a file');
    return Array.fromAsync(file({ fileRoots }).list(uri, new AbortController().signal));
  };

  it('reads nothing without a root', async () => {
    await expect(list('root/iris', [])).rejects.toThrow(/file:\/\/ is off; name the directories/);
  });

  it.each(['secret', 'root-sibling'])('refuses %s beside the root', async (path) => {
    await mkdir(join(directory, 'root-sibling'));

    await expect(list(path)).rejects.toMatchObject({ code: 'storage/refused' });
  });

  it('follows links inside the root, and refuses those that leave it', async () => {
    await writeFile(join(directory, 'root/shared'), 'weights');
    await symlink('../shared', join(directory, 'root/iris/model'));

    expect(await list('root/iris')).toMatchObject([{ path: 'model' }]);

    await symlink('../../secret', join(directory, 'root/iris/other'));

    await expect(list('root/iris')).rejects.toMatchObject({ code: 'storage/refused' });
  });

  it('notices a directory that contains itself', async () => {
    await symlink('..', join(directory, 'root/iris/again'));

    await expect(list('root/iris')).rejects.toThrow('leads back to a directory above it');
  });

  it('leaves out the versions that a mounted ConfigMap keeps', async () => {
    await mkdir(join(directory, 'root/iris/..2026_01_01'));
    await writeFile(join(directory, 'root/iris/..2026_01_01/model'), 'weights');
    await symlink('..2026_01_01', join(directory, 'root/iris/..data'));
    await symlink('..data/model', join(directory, 'root/iris/model'));

    expect((await list('root/iris')).map(({ path }) => path)).toEqual(['model']);
  });
});
