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
// Bundled, they lie beside this file as worker.mjs and probe.mjs.
const isSource = import.meta.url.endsWith('.ts');
const workerUrl = new URL(isSource ? './worker.ts' : './worker.mjs', import.meta.url);
const probeUrl = new URL(isSource ? './probe.ts' : './probe.mjs', import.meta.url);
const log = createLog('model-server');
try {
  const server = await startModelServer({ clock: systemClock, log, workerUrl, probeUrl }, parsed.config);
  stop.addEventListener('abort', () => void server.close().then(exit), { once: true });
} catch (error) {
  log.error({ err: error }, 'the model server cannot start');
  process.exit(1);
}

/** The log is written in the background. */
const logMs = 200;

async function exit(isClean: boolean) {
  if (isClean) process.exit(0);
  // Leaving in the usual way would wait for that thread too.
  log.warn({}, 'a prediction does not end, so the process is killed');
  await systemClock.sleep(logMs, new AbortController().signal);
  process.kill(process.pid, 'SIGKILL');
}
