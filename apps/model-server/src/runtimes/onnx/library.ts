import { createReadStream, createWriteStream } from 'node:fs';
import { access, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { threadId } from 'node:worker_threads';
import { createZstdDecompress } from 'node:zlib';
import { messageOf } from '@roundhouse/base';

/**
 * An image holds the native library compressed, beside this code, and a link in its package leads to where it is unpacked when the
 * first model needs it (docs/adr/0013-native-library-in-the-image.md). Everywhere else the package is whole, and there is nothing to
 * unpack.
 */
export const packedFolder = 'packed';
export const packedSuffix = '.zst';
export const unpackedFolder = '/tmp';

let attempts = 0;
let library: Promise<typeof import('onnxruntime-node')> | undefined;

/** The ONNX runtime: loaded with the first model that needs it, and then asked for no more, since even that takes its time. */
export function onnxRuntime(): Promise<typeof import('onnxruntime-node')> {
  library ??= unpackAll(join(import.meta.dirname, packedFolder), unpackedFolder)
    .then(() => import('onnxruntime-node'))
    .catch((error) => {
      library = undefined; // there may be room the next time
      throw error;
    });
  return library;
}

/** Unpacks every file of `folder` that is not in `target` yet. Whoever else does the same at the same time does no harm. */
export async function unpackAll(folder: string, target: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const to = join(target, basename(name, packedSuffix));
    if (await exists(to)) continue;
    const partial = `${to}.${process.pid}.${threadId}.${++attempts}`;
    try {
      await pipeline(
        createReadStream(join(folder, name)),
        createZstdDecompress(),
        createWriteStream(partial, { mode: 0o500 }),
      );
      await rename(partial, to);
    } catch (error) {
      throw new Error(
        `the ONNX runtime cannot be unpacked into ${target} (${messageOf(error)}): mount an emptyDir there that has 64Mi free`,
        { cause: error },
      );
    }
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
