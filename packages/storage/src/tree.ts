import { constants } from 'node:fs';
import { copyFile, type FileHandle, link, mkdir, open, readdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import { StorageError } from './error.ts';

export type TreeLimits = {
  /** Files, directories and links together. */
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Called with what the tree takes on disk before it takes it; throws when that cannot be. */
  readonly onGrowth?: (bytes: number) => void;
};

export type FileOptions = {
  readonly executable?: boolean | undefined;
  /** A file of this machine with the same content: its blocks are shared where the file system can do that. */
  readonly original?: FileHandle | undefined;
};

/** A new directory and the only way to write into it. Whatever names it is given, nothing lands outside. */
export type Tree = {
  /** A file that nobody can see yet: where an archive lies while it is unpacked. */
  scratch(): Promise<FileHandle>;
  /** So many bytes lie in the scratch file. */
  beside(bytes: number): void;
  /** Writes one file and syncs it. */
  file(path: string, content: AsyncIterable<Uint8Array>, options?: FileOptions): Promise<void>;
  directory(path: string): Promise<void>;
  hardLink(path: string, target: string): Promise<void>;
  /** Made by `finish`, so that no file is ever written through a link. */
  symbolicLink(path: string, target: string): void;
  /** From here on the tree may not exceed `bytesMax` (nor its first limit); `message` says why not. */
  limitBytes(bytesMax: number, message: string): void;
  /** Makes the links, checks where they lead, syncs all directories. */
  finish(): Promise<void>;
  /** Removes everything. */
  remove(): Promise<void>;
  readonly files: number;
  readonly bytes: number;
};

/** Names as ext4, XFS and APFS take them. */
const segmentBytesMax = 255;
/** What a file system gives out: a file takes a number of them, and so does a directory. */
const blockBytes = 4096;

/** `root` must not exist, its parent must. */
export async function createTree(root: string, limits: TreeLimits): Promise<Tree> {
  await mkdir(root);
  /** By folded path: how a directory is spelled, or that a file has the name. */
  const names = new Map<string, { readonly spelled: string; readonly kind: 'directory' | 'leaf' }>();
  const links: { readonly path: string; readonly target: string }[] = [];
  const directories = new Map<string, Promise<void>>();
  /** Complete files, by path: what a hard link may name. */
  const written = new Set<string>();
  let files = 0;
  let bytes = 0;
  let besideBytes = 0;
  let cloning = true; // until the file system says no

  /** Half a block is lost at the end of each file, and a short one has one of its own: a block each is enough for both. */
  const grow = () => limits.onGrowth?.(bytes + besideBytes + (names.size + 1) * blockBytes);

  /** Takes a name and those of the directories above it, unless another entry has them, or would on a disk that folds case. */
  const claim = (segments: readonly string[], kind: 'directory' | 'leaf') => {
    for (let length = 1; length <= segments.length; length++) {
      const spelled = segments.slice(0, length).join('/');
      const folded = spelled.normalize('NFC').toLowerCase();
      const known = names.get(folded);
      const wanted = length < segments.length ? 'directory' : kind;
      if (known === undefined) names.set(folded, { spelled, kind: wanted });
      else if (known.spelled !== spelled || known.kind !== wanted || wanted === 'leaf') {
        throw new StorageError('invalid', `${shown(spelled)} and ${shown(known.spelled)} cannot lie in one directory`);
      }
    }
    if (names.size > limits.entriesMax) {
      throw new StorageError('refused', `more than ${limits.entriesMax} files and directories in one artifact`);
    }
    grow();
  };

  const ensure = async (segments: readonly string[]) => {
    const spelled = segments.join('/');
    let made = directories.get(spelled);
    if (made === undefined) {
      made = (async () => {
        if (segments.length > 1) await ensure(segments.slice(0, -1));
        await mkdir(join(root, ...segments));
      })();
      directories.set(spelled, made);
    }
    await made;
  };

  const place = async (path: string) => {
    const segments = segmentsOf(path);
    claim(segments, 'leaf');
    if (segments.length > 1) await ensure(segments.slice(0, -1));
    return join(root, ...segments);
  };

  const bounds = [{ bytesMax: limits.bytesMax, message: `the artifact is larger than ${limits.bytesMax} bytes` }];
  const count = (size: number) => {
    bytes += size;
    for (const { bytesMax, message } of bounds) if (bytes > bytesMax) throw new StorageError('refused', message);
    grow();
  };

  return {
    async scratch() {
      const path = join(root, '.scratch');
      const handle = await open(path, 'wx+', 0o600);
      await rm(path);
      return handle;
    },

    beside(size) {
      besideBytes = size;
      if (size > 0) grow();
    },

    async file(path, content, { executable = false, original } = {}) {
      const target = await place(path);
      files++;
      const mode = executable ? 0o755 : 0o644;
      if (original !== undefined && cloning) {
        cloning = await clone(original, target);
        if (cloning) {
          count((await original.stat()).size);
          await settle(target, mode);
          return;
        }
      }
      await writeAll(target, content, mode, count);
      written.add(path);
    },

    async directory(path) {
      const segments = segmentsOf(path);
      claim(segments, 'directory');
      await ensure(segments);
    },

    async hardLink(path, target) {
      const from = segmentsOf(target);
      if (!written.has(from.join('/'))) {
        throw new StorageError(
          'refused',
          `${shown(path)} links to ${shown(target)}, which is not in the archive before it`,
        );
      }
      const to = await place(path);
      await link(join(root, ...from), to);
      files++;
    },

    symbolicLink(path, target) {
      const segments = segmentsOf(path);
      const inside = posix.normalize(posix.join(posix.dirname(segments.join('/')), target));
      if (target.startsWith('/') || inside === '..' || inside.startsWith('../')) throw leavesTree(path, target);
      claim(segments, 'leaf');
      links.push({ path: segments.join('/'), target });
      files++;
    },

    limitBytes: (bytesMax, message) => void bounds.push({ bytesMax, message }),

    async finish() {
      for (const { path, target } of links) {
        const segments = path.split('/');
        if (segments.length > 1) await ensure(segments.slice(0, -1));
        await symlink(target, join(root, ...segments));
      }
      const realRoot = await realpath(root);
      for (const { path, target } of links) {
        const real = await realpath(join(root, path)).catch(() => undefined);
        if (real === undefined || !real.startsWith(realRoot + sep)) throw leavesTree(path, target);
      }
      if (links.length > 0) await checkLoops(realRoot, limits.entriesMax);
      for (const spelled of directories.keys()) await settle(join(root, spelled), 0o755);
      await settle(root, 0o755);
    },

    remove: () => rm(root, { recursive: true, force: true }),
    get files() {
      return files;
    },
    get bytes() {
      return bytes;
    },
  };
}

/** The segments of a relative path that is safe on every disk we know, or storage/invalid. */
export function segmentsOf(path: string): string[] {
  const segments = path.split('/');
  for (const segment of segments) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (segment === '' || segment === '.' || segment === '..' || /[\u0000-\u001f\u007f\\]/.test(segment)) {
      throw new StorageError(
        'invalid',
        `${shown(path)} is not a name that a file below the model's directory can have`,
      );
    }
    if (Buffer.byteLength(segment) > segmentBytesMax || !segment.isWellFormed()) {
      throw new StorageError(
        'invalid',
        `${shown(path)}: a name is longer than ${segmentBytesMax} bytes or not valid Unicode`,
      );
    }
  }
  return segments;
}

function shown(path: string): string {
  return JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
}

function leavesTree(path: string, target: string) {
  return new StorageError('refused', `${shown(path)} links to ${shown(target)}, which is not inside the artifact`);
}

/** Whoever reads the tree through its links must come to an end. */
async function checkLoops(root: string, entriesMax: number): Promise<void> {
  let entries = 0;
  const walk = async (directory: string, above: ReadonlySet<string>): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const real = entry.isSymbolicLink() ? await realpath(path) : path;
      if (++entries > entriesMax || above.has(real)) {
        throw new StorageError('refused', `${shown(entry.name)} is a link in a circle of links`);
      }
      if (entry.isDirectory() || (entry.isSymbolicLink() && (await stat(real)).isDirectory())) {
        await walk(real, new Set([...above, real]));
      }
    }
  };
  await walk(root, new Set([root]));
}

async function writeAll(
  target: string,
  content: AsyncIterable<Uint8Array>,
  mode: number,
  count: (size: number) => void,
) {
  const handle = await open(target, 'wx', mode);
  try {
    for await (const chunk of content) {
      count(chunk.length);
      await handle.writeFile(chunk);
    }
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether it could be done. Through the handle, so that what was checked is what is cloned. */
async function clone(original: FileHandle, target: string): Promise<boolean> {
  const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;
  try {
    await copyFile(`/proc/self/fd/${original.fd}`, target, flags);
    return true;
  } catch {
    await rm(target, { force: true });
    return false;
  }
}

/** Sets the mode whatever the umask, and waits until the disk has it. */
async function settle(path: string, mode: number): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
