import { stopOn, systemClock, systemRandom } from '@roundhouse/base';
import { createLog } from '@roundhouse/telemetry';
import { helpText, parseConfig } from './config.ts';
import { buildRouter } from './wiring.ts';

const args = process.argv.slice(2);
if (args.includes('--help')) {
  console.log(helpText());
  process.exit(0);
}
const { config, problems } = parseConfig(process.env, args);
if (config === undefined) {
  for (const problem of problems) console.error(problem); // all of them, not the first
  process.exit(2);
}
// Runs until asked to stop, then: unready, no new connections, requests in flight end, everything closes.
const deps = { clock: systemClock, random: systemRandom, log: createLog('router', config.logLevel) };
const router = await buildRouter(deps, config);
await router.run(stopOn('SIGTERM', 'SIGINT'));
process.exit(0);
