import { mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTree, segmentsOf } from './tree.ts';

let directory: string;
beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'storage-tree-')));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function* bytes(text: string) {
  yield Buffer.from(text);
}

const hostileSegment = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'A', 'b', 'é', 'e\u0301', 'model.onnx') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('..', '.', '', '/', '\\', '\0', '..\\..', '%2e%2e', '~', 'x'.repeat(300), '\ud800'),
  },
  fc.string({ maxLength: 5, unit: 'binary' }),
);
const hostilePath = fc.array(hostileSegment, { maxLength: 5 }).map((segments) => segments.join('/'));
const hostileEntry = fc.record({
  kind: fc.constantFrom('file', 'directory', 'symbolic link', 'hard link'),
  path: hostilePath,
  target: hostilePath,
});

describe('a tree', () => {
  it('writes nothing outside of itself, whatever names it is given', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(hostileEntry, { maxLength: 8 }), async (entries) => {
        const parent = await mkdtemp(join(directory, 'run-'));
        await writeFile(join(parent, 'outside'), 'untouched');
        const tree = await createTree(join(parent, 'tree'), { entriesMax: 100, bytesMax: 1000 });
        for (const { kind, path, target } of entries) {
          const done = async () => {
            if (kind === 'file') await tree.file(path, bytes('x'));
            else if (kind === 'directory') await tree.directory(path);
            else if (kind === 'hard link') await tree.hardLink(path, target);
            else tree.symbolicLink(path, target);
          };
          await done().catch((error) => expect(error.code).toMatch(/^storage\/(invalid|refused)$/));
        }
        const finished = await tree.finish().then(
          () => true,
          () => false,
        );

        expect((await readdir(parent)).sort()).toEqual(['outside', 'tree']);
        expect((await stat(join(parent, 'outside'))).size).toBe(9);
        if (finished) {
          for (const name of await readdir(join(parent, 'tree'), { recursive: true })) {
            expect(await realpath(join(parent, 'tree', name))).toContain(join(parent, 'tree'));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('must be new', async () => {
    await expect(createTree(directory, { entriesMax: 1, bytesMax: 1 })).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('has a scratch file that nobody sees', async () => {
    const tree = await createTree(join(directory, 'tree'), { entriesMax: 9, bytesMax: 9 });
    const scratch = await tree.scratch();
    await scratch.writeFile('x');

    expect(await readdir(join(directory, 'tree'))).toEqual([]);

    await scratch.close();
  });

  it('is readable by other users, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      const tree = await createTree(join(directory, 'tree'), { entriesMax: 9, bytesMax: 9 });
      await tree.file('a/b', bytes('x'));
      await tree.finish();
    } finally {
      process.umask(before);
    }

    expect((await stat(join(directory, 'tree/a'))).mode & 0o777).toBe(0o755);
    expect((await stat(join(directory, 'tree/a/b'))).mode & 0o777).toBe(0o644);
  });
});

describe('segmentsOf', () => {
  it('keeps what is harmless', () => {
    expect(segmentsOf('a/b c/..d')).toEqual(['a', 'b c', '..d']);
  });
});
