import { constants } from 'node:fs';
import { type FileHandle, open, opendir, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import { systemCodeOf } from '@roundhouse/base';
import { StorageError } from '../error.ts';
import type { ProviderDeps, StorageProvider, StoredObject } from '../provider.ts';
import type { StorageUri } from '../uri.ts';

type FileUri = Extract<StorageUri, { scheme: 'file' }>;

/** Files of mounted volumes, only below the configured roots, wherever links lead. */
export function file({ fileRoots }: Pick<ProviderDeps, 'fileRoots'>): StorageProvider<FileUri> {
  const checked = async (path: string) => {
    const [real, ...roots] = await Promise.all([realpath(path), ...fileRoots.map(rootOf)]);
    if (roots.some((root) => root !== undefined && isWithin(root, real))) return real;
    throw new StorageError(
      'refused',
      fileRoots.length === 0
        ? `file://${path}: file:// is off; name the directories it may read with --file-roots`
        : `file://${path} lies outside of ${fileRoots.join(', ')}`,
    );
  };

  return {
    schemes: ['file'],

    async *list({ path }, signal) {
      signal.throwIfAborted();
      try {
        const start = await checked(path);
        const found = await stat(start);
        if (found.isDirectory()) yield* walk(start, '', new Set([start]), checked, signal);
        else yield stored(start, basename(path), true, found);
      } catch (error) {
        throw fileError(path, error);
      }
    },

    async open(uri, object, { offset }) {
      return (await localFile(uri, object)).createReadStream({ start: offset });
    },

    localFile,
  };

  async function localFile({ path }: FileUri, { key, version }: StoredObject): Promise<FileHandle> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(await checked(key), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      if (versionOf(await handle.stat()) === version) return handle;
      throw new StorageError('changed', `${key} changed while it was read`);
    } catch (error) {
      await handle?.close();
      throw fileError(path, error);
    }
  }
}

type Checked = (path: string) => Promise<string>;

async function* walk(
  directory: string,
  prefix: string,
  above: ReadonlySet<string>,
  checked: Checked,
  signal: AbortSignal,
): AsyncIterable<StoredObject> {
  for await (const entry of await opendir(directory)) {
    signal.throwIfAborted();
    // The kubelet's ConfigMap and Secret volumes keep their versions in such directories, and link to them.
    if (/^\.\.(data|\d{4}_)/.test(entry.name)) continue;
    const path = prefix + entry.name;
    const target = await checked(join(directory, entry.name));
    const found = await stat(target);
    if (found.isDirectory()) {
      if (above.has(target)) throw new StorageError('invalid', `${target}: a link leads back to a directory above it`);
      yield* walk(target, `${path}/`, new Set([...above, target]), checked, signal);
    } else yield stored(target, path, false, found);
  }
}

type Found = { isFile(): boolean; dev: number; ino: number; size: number; mtimeMs: number; mode: number };

function stored(key: string, path: string, single: boolean, found: Found): StoredObject {
  if (!found.isFile()) throw new StorageError('invalid', `${key} is neither a file nor a directory`);
  return {
    key,
    path,
    single,
    sizeBytes: found.size,
    version: versionOf(found),
    executable: (found.mode & 0o100) !== 0,
  };
}

function versionOf({ dev, ino, size, mtimeMs }: Found): string {
  return `${dev}:${ino}:${size}:${mtimeMs}`;
}

/** A root that does not exist allows nothing. */
async function rootOf(path: string): Promise<string | undefined> {
  return realpath(path).catch(() => undefined);
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}

function fileError(path: string, error: unknown): unknown {
  if (error instanceof StorageError) return error;
  switch (systemCodeOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new StorageError('not-found', `file://${path} does not exist`, { cause: error });
    case 'EACCES':
    case 'EPERM':
      return new StorageError('denied', `file://${path} may not be read by this user`, { cause: error });
    case 'ELOOP':
      return new StorageError('refused', `file://${path}: too many links`, { cause: error });
    case undefined:
      return error;
  }
  return new StorageError('unavailable', `file://${path}: ${systemCodeOf(error)}`, { cause: error });
}
