import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unpackAll } from './library.ts';

describe('unpackAll', () => {
  const content = Buffer.from('a library, a library, a library');
  let folder: string;
  let target: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'packed-'));
    target = join(folder, 'target');
    await mkdir(target);
    await mkdir(join(folder, 'packed'));
    await writeFile(join(folder, 'packed', 'lib.so.zst'), zstdCompressSync(content));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is done once, by however many at a time', async () => {
    await Promise.all([unpackAll(join(folder, 'packed'), target), unpackAll(join(folder, 'packed'), target)]);

    expect(await readFile(join(target, 'lib.so'))).toEqual(content);
    expect(await readdir(target)).toEqual(['lib.so']);
  });

  it('leaves alone what is there', async () => {
    await writeFile(join(target, 'lib.so'), 'there');
    await unpackAll(join(folder, 'packed'), target);

    expect(await readFile(join(target, 'lib.so'), 'utf8')).toBe('there');
  });

  it('does nothing where the package is whole', async () => {
    await expect(unpackAll(join(folder, 'nothing'), target)).resolves.toBeUndefined();
  });

  it('names the folder that it may not write, and the way out', async () => {
    const unpacked = unpackAll(join(folder, 'packed'), join(folder, 'none'));

    await expect(unpacked).rejects.toThrow(/cannot be unpacked into .*none.*ENOENT.*mount an emptyDir/);
  });
});
