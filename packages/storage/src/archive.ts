import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { StorageError } from './error.ts';
import type { StoredObject } from './provider.ts';
import type { Tree } from './tree.ts';

/** Whether an object is an archive that is unpacked, by its name or by what the web server says, as KServe does. */
export function isArchive({ path, contentType = '' }: StoredObject): boolean {
  return (
    /\.(tar|tar\.gz|tgz|zip)$/i.test(path) ||
    /^application\/(x-tar|x-gtar|x-gzip|gzip|zip|x-zip-compressed)\b/i.test(contentType)
  );
}

/** Unpacks a .tar, .tar.gz or .zip, told by its content, into the tree. Nothing but files, directories and links inside is taken. */
export async function unpack(archive: FileHandle, name: string, tree: Tree, signal: AbortSignal): Promise<void> {
  const head = Buffer.alloc(512);
  await archive.read(head, 0, head.length, 0);
  try {
    if (head.readUInt32BE() === zipMagic) await unpackZip(archive, tree, signal);
    else if (head.readUInt16BE() === gzipMagic || head.toString('latin1', 257, 262) === 'ustar')
      await unpackTar(archive, tree, signal);
    else throw new StorageError('invalid', `${name} is named like an archive but is neither tar, gzip nor zip`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StorageError || (error as NodeJS.ErrnoException).syscall !== undefined) throw error;
    throw new StorageError('invalid', `${name} is a broken archive: ${(error as Error).message}`, { cause: error });
  }
}

const zipMagic = 0x504b0304;
const gzipMagic = 0x1f8b;

async function unpackTar(archive: FileHandle, tree: Tree, signal: AbortSignal): Promise<void> {
  const { Parser } = await import('tar');
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  // Entries come in order, and the parser waits while one is not read.
  let taken = Promise.resolve();
  const parser = new Parser({
    strict: true,
    maxDecompressionRatio: Number.POSITIVE_INFINITY, // the tree's bounds say it with our words
    onReadEntry: (entry) => {
      taken = taken.then(() => takeTarEntry(entry, tree));
      taken.catch(failed.reject);
    },
  });
  const ended = new Promise<void>((resolve, reject) => {
    parser.on('end', resolve);
    parser.on('error', reject);
  });
  ended.catch(failed.reject);

  const work = async () => {
    for await (const chunk of archive.createReadStream({ start: 0, autoClose: false, signal })) {
      if (!parser.write(chunk)) await new Promise<void>((resolve) => parser.once('drain', resolve));
    }
    parser.end();
    await ended;
    await taken;
  };
  await Promise.race([work(), failed.promise]);
}

type TarEntry = AsyncIterable<Uint8Array> & {
  readonly type: string;
  readonly path: string;
  readonly linkpath?: string;
  readonly mode?: number;
  resume(): void;
};

async function takeTarEntry(entry: TarEntry, tree: Tree): Promise<void> {
  const path = plain(entry.path);
  switch (entry.type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
      return tree.file(path, entry, { executable: ((entry.mode ?? 0) & 0o100) !== 0 });
    case 'Directory':
    case 'GNUDumpDir':
      if (path !== '' && path !== '.') await tree.directory(path); // otherwise the tree itself
      break;
    case 'SymbolicLink':
      tree.symbolicLink(path, entry.linkpath ?? '');
      break;
    case 'Link':
      await tree.hardLink(path, plain(entry.linkpath ?? ''));
      break;
    default:
      throw new StorageError(
        'refused',
        `${JSON.stringify(entry.path)} is a ${entry.type}: archives may hold files, directories and links`,
      );
  }
  entry.resume();
}

/** As tar writes them: "./" in front, and "/" behind a directory. */
function plain(path: string): string {
  return path.replace(/^(\.\/)+/, '').replace(/\/$/, '');
}

async function unpackZip(archive: FileHandle, tree: Tree, signal: AbortSignal): Promise<void> {
  const { fromFdPromise } = await import('yauzl');
  const zip = await fromFdPromise(archive.fd, { autoClose: false });
  for await (const entry of zip.eachEntry()) {
    signal.throwIfAborted();
    const name = entry.fileName;
    const mode = entry.externalFileAttributes >>> 16;
    const type = mode & 0o170000;
    if (name.endsWith('/')) await tree.directory(plain(name));
    else if (type === 0o120000) tree.symbolicLink(name, await linkTarget(await zip.openReadStreamPromise(entry)));
    else if (type === 0 || type === 0o100000) {
      if (entry.isEncrypted()) throw new StorageError('invalid', `${JSON.stringify(name)} is encrypted`);
      await tree.file(name, await zip.openReadStreamPromise(entry), { executable: (mode & 0o100) !== 0 });
    } else throw new StorageError('refused', `${JSON.stringify(name)} is neither file, directory nor link`);
  }
}

/** Longest target of a link that any system takes. */
const linkBytesMax = 4096;

async function linkTarget(stream: Readable): Promise<string> {
  let target = '';
  for await (const chunk of stream) {
    target += chunk;
    if (target.length > linkBytesMax) throw new StorageError('invalid', 'a link in the archive has no end');
  }
  return target;
}
