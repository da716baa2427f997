import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * What of the volume's size limit is taken. A kubelet evicts a pod whose volume exceeds its limit, and every model goes with it: so
 * nothing is written that is not booked here before.
 */
export type Volume = {
  /** Counts what is in the volume already. */
  count(...directories: readonly string[]): Promise<void>;
  /** Room for one more model. */
  open(): Booking;
  /** What was counted before has been deleted. */
  free(bytes: number): void;
};

export type Booking = {
  /** Books so many bytes in all; what comes back is why that cannot be. */
  reach(bytes: number): string | undefined;
  /** It came to be so many: these stay booked. */
  settle(bytes: number): void;
  release(): void;
};

/** Of the limit, for what is written beside models: the assignment, markers. */
const shareKept = 1 / 64;

/** Entries of one directory looked at side by side. */
const scansMax = 8;

/** `limitBytes` of 0 stands for no limit. */
export function createVolume(limitBytes: number): Volume {
  const usable = limitBytes === 0 ? Number.POSITIVE_INFINITY : Math.floor(limitBytes * (1 - shareKept));
  let taken = 0;

  return {
    async count(...directories) {
      taken = 0;
      for (const directory of directories) taken += await diskUsage(directory);
    },
    open() {
      let own = 0;
      const settle = (bytes: number) => {
        taken += bytes - own;
        own = bytes;
      };
      return {
        reach(bytes) {
          if (bytes <= own) return undefined;
          const others = taken - own;
          if (others + bytes > usable) return refusal(bytes, others, limitBytes);
          settle(bytes);
          return undefined;
        },
        settle,
        release: () => settle(0),
      };
    },
    free(bytes) {
      taken = Math.max(0, taken - bytes);
    },
  };
}

function refusal(bytes: number, others: number, limitBytes: number): string {
  return (
    `it needs ${mebibytes(bytes)} of a volume limited to ${mebibytes(limitBytes)}, of which ${mebibytes(others)} are taken: ` +
    'remove models, or raise roundhouse.dev/model-disk of the InferenceService'
  );
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** Blocks, as the kubelet counts them; 0 where nothing is. */
export async function diskUsage(path: string): Promise<number> {
  const { blocks, isDirectory } = await lstat(path).then(
    (found) => ({ blocks: found.blocks, isDirectory: found.isDirectory() }),
    () => ({ blocks: 0, isDirectory: false }),
  );
  let bytes = blocks * 512;
  if (!isDirectory) return bytes;
  const names = (await readdir(path).catch(() => [])).values();
  const walk = async () => {
    for (const name of names) {
      const below = await diskUsage(join(path, name));
      bytes += below;
    }
  };
  await Promise.all(Array.from({ length: scansMax }, walk));
  return bytes;
}
