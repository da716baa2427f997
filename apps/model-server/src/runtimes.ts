import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '@roundhouse/base';
import { invalid } from '@roundhouse/v2-protocol';
import { findArtifact } from './artifact.ts';
import { createMemory } from './memory.ts';
import type { Loaded } from './repository.ts';
import { createHosts } from './runtimes/onnx/hosts.ts';
import { createProber } from './runtimes/onnx/prober.ts';
import { openModel } from './runtimes/open-model.ts';
import { createPool, type Pool } from './threads/pool.ts';
import { startThread } from './threads/thread.ts';

/** What opens models: the runtimes with their threads and processes, and the memory that they share. */
export type Runtimes = {
  /** Opens the model in `<modelDirectory>/<name>/`. */
  open(name: string): Promise<Loaded>;
  readonly pool: Pool;
  close(): Promise<void>;
};

export type RuntimesDeps = { readonly clock: Clock; readonly workerUrl: URL; readonly probeUrl: URL };

/** One thread for each processor but the one that answers requests. */
const threadsMax = Math.max(1, Math.min(4, availableParallelism() - 1));

/** Names become directories, so they hold nothing that leads elsewhere; a leading dot is for files that are no models. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

export function createRuntimes(
  { clock, workerUrl, probeUrl }: RuntimesDeps,
  modelDirectory: string,
  memoryLimitBytes: number,
): Runtimes {
  const memory = createMemory({
    limitBytes: memoryLimitBytes,
    residentBytes: () => process.memoryUsage.rss(),
    collect,
  });
  // V8's own bound on a heap would end the whole process, where the memory limit refuses one model.
  const start = () => startThread(workerUrl, { maxOldGenerationSizeMb: Math.ceil(memoryLimitBytes / 2 ** 20) });
  const pool = createPool(clock, start, threadsMax);
  const prober = createProber({ clock, probeUrl });
  const hosts = createHosts(start, threadsMax);
  let warm: Promise<void> | undefined;
  const warmUp = () => {
    // Where it fails, so does what it is for, and says why.
    warm ??= pool.ask('warmUpOnnx').catch(() => {});
    return warm;
  };
  return {
    pool,
    async open(name) {
      if (!namePattern.test(name)) throw invalid(`${JSON.stringify(name)} is no model name`);
      const artifact = findArtifact(join(modelDirectory, name));
      const model = await openModel({ clock, memory, pool, prober, hosts, warmUp }, artifact);
      return { model, version: artifact.version };
    },
    async close() {
      await Promise.all([pool.close(), prober.close(), hosts.close()]);
    },
  };
}

/** The container's limit (cgroup v1 or v2) where there is one, otherwise all that the machine has. */
export function availableBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Garbage is collected on demand only where a model would be refused otherwise; the flag only makes the function known. */
function collect() {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
