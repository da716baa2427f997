import { mkdtemp, open, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type ArchiveEntry, tarOf, zipOf } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isArchive, unpack } from './archive.ts';
import { createTree } from './tree.ts';

let directory: string;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'storage-archive-')));
});
afterEach(() => rm(directory, { recursive: true }));

async function unpacked(archive: Buffer, bytesMax = 1_000_000) {
  await writeFile(join(directory, 'archive'), archive);
  const handle = await open(join(directory, 'archive'));
  try {
    const tree = await createTree(join(directory, 'tree'), { entriesMax: 100, bytesMax });
    await unpack(handle, 'models.tar', tree, new AbortController().signal);
    await tree.finish();
    return tree;
  } finally {
    await handle.close();
  }
}

const kinds = [
  ['tar', tarOf],
  ['tar.gz', (entries: readonly ArchiveEntry[]) => gzipSync(tarOf(entries))],
  ['zip', zipOf],
] as const;

describe.each(kinds)('unpack of %s', (_, pack) => {
  it('writes files, directories and execute bits', async () => {
    const tree = await unpacked(
      pack([
        { path: 'iris/', type: 'directory' },
        { path: 'iris/1/model.onnx', body: 'weights' },
        { path: 'iris/run', body: '#!/bin/sh', executable: true },
        { path: 'empty', body: '' },
      ]),
    );

    expect(await readFile(join(directory, 'tree/iris/1/model.onnx'), 'utf8')).toBe('weights');
    expect((await stat(join(directory, 'tree/iris/run'))).mode & 0o777).toBe(0o755);
    expect((await stat(join(directory, 'tree/iris/1/model.onnx'))).mode & 0o777).toBe(0o644);
    expect(tree).toMatchObject({ files: 3, bytes: 16 });
  });

  it('makes links that stay inside', async () => {
    await unpacked(
      pack([
        { path: 'latest', type: 'symlink', target: 'versions/2' },
        { path: 'versions/2/model', body: 'weights' },
        { path: 'versions/2/self', type: 'symlink', target: '../../versions/2/model' },
      ]),
    );

    expect(await readFile(join(directory, 'tree/latest/self'), 'utf8')).toBe('weights');
  });

  it.each<[string, ArchiveEntry[]]>([
    ['a path that climbs out', [{ path: '../evil', body: 'x' }]],
    ['a path that climbs out later', [{ path: 'a/../../evil', body: 'x' }]],
    ['an absolute path', [{ path: '/tmp/evil', body: 'x' }]],
    ['a link that climbs out', [{ path: 'a/evil', type: 'symlink', target: '../../archive' }]],
    ['an absolute link', [{ path: 'evil', type: 'symlink', target: '/etc/passwd' }]],
    ['a link to nothing', [{ path: 'evil', type: 'symlink', target: 'missing' }]],
    [
      'links that climb out together',
      [
        { path: 'q/r/s', type: 'symlink', target: '../..' },
        { path: 'q/r/t', type: 'symlink', target: 's/../archive' },
        { path: 'q/archive', body: 'decoy' },
      ],
    ],
    [
      'a file through a link',
      [
        { path: 'a', type: 'symlink', target: 'b' },
        { path: 'b/', type: 'directory' },
        { path: 'a/evil', body: 'x' },
      ],
    ],
    ['a link to a directory above it', [{ path: 'a/b/up', type: 'symlink', target: '..' }]],
    [
      'links in a circle',
      [
        { path: 'a/x', type: 'symlink', target: '../b' },
        { path: 'b/y', type: 'symlink', target: '../a' },
      ],
    ],
    ['a device', [{ path: 'tty', type: 'device' }]],
    [
      'one name twice',
      [
        { path: 'model', body: 'x' },
        { path: 'model', body: 'y' },
      ],
    ],
    [
      'names that a disk may take for one',
      [
        { path: 'Model/a', body: 'x' },
        { path: 'model/b', body: 'y' },
      ],
    ],
  ])('refuses %s', async (_, entries) => {
    await expect(unpacked(pack(entries))).rejects.toMatchObject({
      code: expect.stringMatching(/^storage\/(refused|invalid)$/),
    });
    expect(await readdir(directory)).toEqual(expect.arrayContaining(['archive', 'tree']));
    expect((await readdir(directory)).length).toBe(2);
  });

  it('stops at the bound of bytes, whatever the archive claims', async () => {
    const bomb = pack([{ path: 'zeros', body: Buffer.alloc(3_000_000) }]);

    await expect(unpacked(bomb)).rejects.toMatchObject({ code: 'storage/refused' });
    expect((await stat(join(directory, 'tree/zeros'))).size).toBeLessThanOrEqual(1_000_000);
  });

  it('stops at the bound of entries', async () => {
    const many = pack(Array.from({ length: 101 }, (_, index) => ({ path: `d${index}/`, type: 'directory' as const })));

    await expect(unpacked(many)).rejects.toMatchObject({ code: 'storage/refused' });
  });

  it('tells an archive that is cut short', async () => {
    const whole = pack([
      { path: 'model', body: Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)) },
    ]);

    await expect(unpacked(whole.subarray(0, whole.length / 2))).rejects.toMatchObject({ code: 'storage/invalid' });
  });
});

describe('unpack', () => {
  it('takes names as tar writes them when it is given "."', async () => {
    await unpacked(
      tarOf([
        { path: './', type: 'directory' },
        { path: './iris/', type: 'directory' },
        { path: './iris/model', body: 'weights' },
      ]),
    );

    expect(await readdir(join(directory, 'tree/iris'))).toEqual(['model']);
  });

  it('makes hard links of tar into files, and refuses those to elsewhere', async () => {
    await unpacked(
      tarOf([
        { path: 'model', body: 'weights' },
        { path: 'copy', type: 'hardlink', target: 'model' },
      ]),
    );

    expect(await readFile(join(directory, 'tree/copy'), 'utf8')).toBe('weights');

    await rm(join(directory, 'tree'), { recursive: true });

    await expect(unpacked(tarOf([{ path: 'copy', type: 'hardlink', target: '../archive' }]))).rejects.toMatchObject({
      code: 'storage/invalid',
    });
  });

  it('tells what is no archive at all', async () => {
    await expect(unpacked(Buffer.from('<html>not found</html>'))).rejects.toThrow(
      'models.tar is named like an archive',
    );
  });
});

describe('isArchive', () => {
  it.each([
    ['m.tar', undefined, true],
    ['m.tar.gz', undefined, true],
    ['m.TGZ', undefined, true],
    ['m.zip', undefined, true],
    ['download', 'application/zip', true],
    ['download', 'application/x-gzip; charset=binary', true],
    ['model.onnx', 'application/octet-stream', false],
    ['model.mar', undefined, false],
    ['notes.gz', undefined, false],
  ])('%s with %s: %s', (path, contentType, expected) => {
    const object = { key: path, path, single: true, sizeBytes: 1, version: undefined };

    expect(isArchive({ ...object, ...(contentType !== undefined && { contentType }) })).toBe(expected);
  });
});
