import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { createRepository, type Repository } from '../repository.ts';
import { availableBytes, createRuntimes } from '../runtimes.ts';

export const workerUrl = new URL('../worker.ts', import.meta.url);
export const probeUrl = new URL('../probe.ts', import.meta.url);

/** A repository on real files, without a server. */
export function openRepository(modelDirectory: string): Repository {
  const runtimes = createRuntimes({ clock: systemClock, workerUrl, probeUrl }, modelDirectory, availableBytes());
  return createRepository({ clock: systemClock, log: silentLog, open: runtimes.open });
}
