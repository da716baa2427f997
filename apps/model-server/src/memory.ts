import { noSpace } from './model.ts';

/** Memory set aside for one model. */
export type Reservation = {
  readonly bytes: number;
  /** Throws like `reserve` when it grows beyond what is left; then it stays as it was. */
  resize(bytes: number): void;
  release(): void;
};

/** Keeps the process within its limit by refusing models, since a process that passes it is killed with all of them. */
export type Memory = {
  /** Throws ModelRefused `model/no-space` when so many bytes are not left. */
  reserve(bytes: number): Reservation;
};

export type MemoryDeps = {
  readonly limitBytes: number;
  /** Resident memory of the process. */
  readonly residentBytes: () => number;
  /** Collects garbage. */
  readonly collect: () => void;
};

/** Part of the limit that is kept for requests, answers and garbage. */
const headroom = 1 / 8;

/**
 * Two counts must fit: what the process held at its start plus all models, and what it holds now plus the model that comes. The
 * first knows of models that are still loading; the second of everything that nobody counted. Memory of models that have gone
 * is not always given back to the system, but used again, so it does not count as held now.
 */
export function createMemory({ limitBytes, residentBytes, collect }: MemoryDeps): Memory {
  const startBytes = residentBytes();
  const usableBytes = Math.floor(limitBytes * (1 - headroom));
  let modelsBytes = 0;
  let reusableBytes = 0;

  const leftBytes = () => usableBytes - Math.max(startBytes + modelsBytes, residentBytes() - reusableBytes);

  const take = (bytes: number) => {
    if (bytes > leftBytes()) {
      collect();
      const left = Math.max(0, leftBytes());
      if (bytes > left)
        throw noSpace(
          `the model needs ${megabytes(bytes)}, but ${megabytes(left)} of the ${megabytes(limitBytes)} that this process may take are left for models; unload some, or raise its memory limit`,
        );
    }
    modelsBytes += bytes;
    reusableBytes = Math.max(0, reusableBytes - bytes);
  };

  const give = (bytes: number) => {
    modelsBytes -= bytes;
    reusableBytes += bytes;
  };

  return {
    reserve(bytes) {
      take(bytes);
      let held = bytes;
      return {
        get bytes() {
          return held;
        },
        resize(wanted) {
          if (wanted > held) take(wanted - held);
          else give(held - wanted);
          held = wanted;
        },
        release() {
          give(held);
          held = 0;
        },
      };
    },
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
