import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '@roundhouse/base';
import type { ModelServer } from '@roundhouse/dialects';

/**
 * For a server that reads `file` of every model at each load: a model's is in its sight only while it loads, so that a load costs
 * the same however many models there are.
 */
export function loadInSight(server: Pick<ModelServer, 'load'>, modelDir: string, file: string): ModelServer['load'] {
  return async (model, signal) => {
    const shown = join(modelDir, model, file);
    const hidden = `${shown}.loaded`;
    await renameIfThere(hidden, shown);
    try {
      await server.load(model, signal);
    } finally {
      await renameIfThere(shown, hidden);
    }
  };
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
