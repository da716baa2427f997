import { createHash } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bounded, type Clock, messageOf, type Random, systemCodeOf } from '@roundhouse/base';
import { isArchive, unpack } from './archive.ts';
import type { Credentials } from './credentials.ts';
import { StorageError } from './error.ts';
import { createHttp } from './http-client.ts';
import type { StorageProvider, StoredObject } from './provider.ts';
import { createProviders } from './providers/index.ts';
import { listObjects, readObject, type TransferDeps } from './transfer.ts';
import { createTransferPool, type TransferPool } from './transfer-pool.ts';
import { createTree, type Tree } from './tree.ts';
import type { StorageUri } from './uri.ts';

export type MaterializerLimits = {
  /** Connections to stores, of all artifacts together. A chunk and a stream's buffer each: about 128 KiB of memory. */
  readonly connectionsMax: number;
  /** Announced bytes of large objects under way, of all artifacts together. */
  readonly transferBytesMax: number;
  /** Files, directories and links of one artifact. */
  readonly entriesMax: number;
  /** Bytes of one artifact on disk. */
  readonly artifactBytesMax: number;
  /** How many times larger than itself an archive may become. */
  readonly archiveRatioMax: number;
  /** A store that is silent for this long is given up. */
  readonly idleTimeoutMs: number;
};

export const defaultLimits: MaterializerLimits = {
  connectionsMax: 32, // 4 MiB of buffers; more connections do not make one network card faster
  transferBytesMax: 4 * 1024 ** 3, // four of the largest objects, or many middling ones
  entriesMax: 20_000, // an order above the largest model repositories seen
  artifactBytesMax: 1024 ** 4, // a mistake rather than a model beyond it; the disk is the real bound
  archiveRatioMax: 200, // weights hardly shrink, text by ten; deflate's own end is 1,032
  idleTimeoutMs: 30_000,
};

/** One artifact may take at most this part of the connections, so that ten thousand small files do not hold up the others. */
const shareOfConnections = 0.5;
/** An archive may become this large whatever its ratio: a few megabytes of zeros are no bomb. */
const harmlessBytes = 64 * 1024 ** 2;

export type MaterializerDeps = {
  readonly clock: Clock;
  readonly random: Random;
  /** Directories below which file:// may read; links are followed only inside them. Empty: file:// is refused. */
  readonly fileRoots: readonly string[];
  readonly limits?: Partial<MaterializerLimits>;
};

export type MaterializeRequest = {
  readonly uri: StorageUri;
  /** Must not exist; its parent must. After a failure it does not exist either. */
  readonly directory: string;
  /** Of the single file, or of the archive as it was downloaded; 64 hex digits. */
  readonly sha256?: string | undefined;
  readonly credentials: Credentials;
  /** Asked before the artifact takes so many bytes of disk; what it answers is why they cannot be had. */
  readonly reserve?: ((bytes: number) => string | undefined) | undefined;
  /** Called with every chunk: be quick. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
};

export type Progress = { readonly bytes: number; readonly totalBytes: number | undefined };

/** What is on disk now; `objects` is what was listed (one for an archive, however many files came out of it). */
export type Materialized = {
  readonly files: number;
  readonly bytes: number;
  readonly objects: readonly StoredObject[];
};

export type Materializer = {
  /** Brings an artifact to disk: all of it, checked and synced, or nothing. Throws StorageError, or the signal's reason. */
  materialize(request: MaterializeRequest, signal: AbortSignal): Promise<Materialized>;
  /** Closes idle connections. */
  close(): Promise<void>;
};

/** One per process: its bounds hold for all artifacts together. */
export function createMaterializer(deps: MaterializerDeps): Materializer {
  const limits = { ...defaultLimits, ...deps.limits };
  const pool = createTransferPool({ connectionsMax: limits.connectionsMax, bytesMax: limits.transferBytesMax });
  const http = createHttp();
  const providers = createProviders({ http, fileRoots: deps.fileRoots });
  const transfer: TransferDeps = { clock: deps.clock, random: deps.random, idleTimeoutMs: limits.idleTimeoutMs };

  return {
    async materialize(request, signal) {
      const { uri, credentials } = request;
      const provider = await providers.open(uri.scheme, credentials);
      const objects = await pool.run(0, () => listAll(transfer, provider, uri, limits, signal), signal);
      if (request.sha256 !== undefined && objects.length !== 1) {
        throw new StorageError(
          'invalid',
          `${uri.text} has ${objects.length} files: sha256 is for a single file or archive`,
        );
      }
      await checkRoom(request, objects);
      const tree = await createTree(request.directory, {
        entriesMax: limits.entriesMax,
        bytesMax: limits.artifactBytesMax,
        onGrowth: (bytes) => reserve(request, bytes),
      });
      try {
        await fill(tree, { ...request, objects, provider, transfer, pool, limits }, signal);
        await tree.finish();
        return { files: tree.files, bytes: tree.bytes, objects };
      } catch (error) {
        await tree.remove();
        signal.throwIfAborted();
        throw diskError(request.directory, error);
      }
    },
    close: () => http.close(),
  };
}

async function listAll(
  deps: TransferDeps,
  provider: StorageProvider,
  uri: StorageUri,
  { entriesMax, artifactBytesMax }: MaterializerLimits,
  signal: AbortSignal,
): Promise<StoredObject[]> {
  const objects: StoredObject[] = [];
  let bytes = 0;
  for await (const object of listObjects(deps, provider, uri, signal)) {
    objects.push(object);
    bytes += object.sizeBytes ?? 0;
    if (objects.length > entriesMax) throw new StorageError('refused', `${uri.text} has more than ${entriesMax} files`);
    if (bytes > artifactBytesMax)
      throw new StorageError('refused', `${uri.text} is larger than ${artifactBytesMax} bytes`);
  }
  if (objects.length === 0) throw new StorageError('not-found', `nothing is at ${uri.text}`);
  return objects;
}

type Filling = MaterializeRequest & {
  readonly objects: readonly StoredObject[];
  readonly provider: StorageProvider;
  readonly transfer: TransferDeps;
  readonly pool: TransferPool;
  readonly limits: MaterializerLimits;
};

/** All objects in parallel; the first failure calls off the others, and is thrown when they have let go. */
async function fill(tree: Tree, filling: Filling, outer: AbortSignal): Promise<void> {
  const { objects, pool, limits } = filling;
  const controller = new AbortController();
  const signal = AbortSignal.any([outer, controller.signal]);
  const share = bounded(Math.max(1, Math.floor(limits.connectionsMax * shareOfConnections)));
  const progress = progressOf(filling);

  const failures: unknown[] = [];
  await Promise.all(
    objects.map(async (object) => {
      try {
        const task = () =>
          object.single && isArchive(object)
            ? takeArchive(tree, object, filling, progress, signal)
            : takeFile(tree, object, filling, progress, signal);
        await share.run(() => pool.run(object.sizeBytes, task, signal), signal);
      } catch (error) {
        failures.push(error);
        controller.abort();
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}

type Progressing = (chunkBytes: number) => void;

async function takeFile(
  tree: Tree,
  object: StoredObject,
  filling: Filling,
  progress: Progressing,
  signal: AbortSignal,
) {
  const { provider, uri, sha256 } = filling;
  const content = readObject(filling.transfer, provider, uri, object, signal);
  const original = sha256 === undefined ? await provider.localFile?.(uri, object) : undefined;
  try {
    await tree.file(object.path, verified(content, filling, progress), { executable: object.executable, original });
  } finally {
    await original?.close();
  }
}

/** An archive is complete and verified before the first of its files is written. */
async function takeArchive(
  tree: Tree,
  object: StoredObject,
  filling: Filling,
  progress: Progressing,
  signal: AbortSignal,
) {
  const { provider, uri, limits } = filling;
  const scratch = await tree.scratch();
  try {
    let size = 0;
    for await (const chunk of verified(
      readObject(filling.transfer, provider, uri, object, signal),
      filling,
      progress,
    )) {
      size += chunk.length;
      if (size > limits.artifactBytesMax)
        throw new StorageError('refused', `${uri.text} is larger than ${limits.artifactBytesMax} bytes`);
      tree.beside(size);
      await scratch.writeFile(chunk);
    }
    tree.limitBytes(
      Math.max(harmlessBytes, size * limits.archiveRatioMax),
      `${uri.text} grows to more than ${limits.archiveRatioMax} times its size`,
    );
    await unpack(scratch, uri.text, tree, signal);
    if (tree.files === 0) throw new StorageError('invalid', `${uri.text} is an empty archive`);
  } finally {
    await scratch.close();
    tree.beside(0);
  }
}

/** Passes `content` on, and fails at its end if the checksum is not the wanted one. */
async function* verified(content: AsyncIterable<Uint8Array>, { sha256, uri }: Filling, progress: Progressing) {
  const hash = sha256 === undefined ? undefined : createHash('sha256');
  for await (const chunk of content) {
    hash?.update(chunk);
    yield chunk;
    progress(chunk.length);
  }
  const got = hash?.digest('hex');
  if (got !== undefined && got !== sha256?.toLowerCase()) {
    throw new StorageError('invalid', `${uri.text} has the SHA-256 ${got}, not the wanted ${sha256}`);
  }
}

function progressOf({ objects, onProgress }: Filling): Progressing {
  const sizes = objects.map(({ sizeBytes }) => sizeBytes);
  const totalBytes = sizes.includes(undefined) ? undefined : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  let bytes = 0;
  return (chunkBytes) => {
    bytes += chunkBytes;
    onProgress?.({ bytes, totalBytes });
  };
}

/** Better to say at once that it will not fit than after an hour. */
async function checkRoom(request: MaterializeRequest, objects: readonly StoredObject[]) {
  const { directory, uri } = request;
  const needed = objects.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  reserve(request, needed);
  const { bavail, bsize } = await statfs(dirname(directory));
  if (needed > bavail * bsize) {
    throw noSpace(directory, `${uri.text} needs ${needed} bytes, ${bavail * bsize} are free`);
  }
}

function reserve({ uri, reserve }: MaterializeRequest, bytes: number) {
  const refusal = reserve?.(bytes);
  if (refusal !== undefined) throw new StorageError('no-space', `no room for ${uri.text}: ${refusal}`);
}

function diskError(directory: string, error: unknown): unknown {
  if (error instanceof StorageError) return error;
  const code = systemCodeOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace(directory, code, error);
  return new StorageError('unavailable', `writing below ${directory} failed: ${messageOf(error)}`, { cause: error });
}

function noSpace(directory: string, why: string, cause?: unknown) {
  const message = `no room below ${dirname(directory)} (${why}): remove models, or give the volume a larger size limit`;
  return new StorageError('no-space', message, { cause });
}
