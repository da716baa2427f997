import { stopOn, systemClock, systemRandom } from '@roundhouse/base';
import { createLog } from '@roundhouse/telemetry';
import { help, parseConfig } from './config.ts';
import { runController } from './wiring.ts';

const args = process.argv.slice(2);
if (args.includes('--help')) {
  console.log(help);
  process.exit(0);
}
const { config, problems } = parseConfig(process.env, args);
if (config === undefined) {
  for (const problem of problems) console.error(problem);
  process.exit(2);
}
const log = createLog('controller', config.logLevel);
try {
  const deps = { clock: systemClock, random: systemRandom, log };
  process.exit(await runController(deps, config, stopOn('SIGTERM', 'SIGINT')));
} catch (err) {
  log.error({ err }, 'the controller cannot go on');
  process.exit(1);
}
