import { stopOn, systemClock } from '@roundhouse/base';
import { createLog } from '@roundhouse/telemetry';
import { parseConfig } from './config.ts';
import { startModelServer } from './server.ts';

const parsed = parseConfig(process.argv.slice(2));
if ('problems' in parsed) {
  for (const problem of parsed.problems) console.error(problem);
  process.exit(2);
}

const stop = stopOn('SIGTERM', 'SIGINT');
// Bundled, the worker lies beside this file as worker.mjs.
const workerUrl = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.mjs', import.meta.url);
const log = createLog('model-server');
try {
  const server = await startModelServer({ clock: systemClock, log, workerUrl }, parsed.config);
  stop.addEventListener('abort', () => void server.close().then(() => process.exit(0)), { once: true });
} catch (error) {
  log.error({ err: error }, 'the model server cannot start');
  process.exit(1);
}
