import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { createRepository, type Repository } from '../repository.ts';
import { createOnnxWorkers } from '../runtimes/onnx/workers.ts';
import { openFrom } from '../server.ts';

export const workerUrl = new URL('../worker.ts', import.meta.url);

/** A repository on real files, without a server. */
export function openRepository(modelDirectory: string): Repository {
  const workers = createOnnxWorkers(workerUrl, 1);
  return createRepository({ clock: systemClock, log: silentLog, open: openFrom(modelDirectory, workers) });
}
