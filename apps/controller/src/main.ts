import { messageOf, stopOn, systemClock, systemRandom } from '@roundhouse/base';
import { createLog } from '@roundhouse/telemetry';
import { help, parseConfig } from './config.ts';
import { setupCommands } from './setup/commands.ts';
import { runController } from './wiring.ts';

const [first = '', ...others] = process.argv.slice(2);
const command = setupCommands.find((name) => name === first);
const args = command === undefined ? process.argv.slice(2) : others;
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
if (command !== undefined) {
  try {
    const { runSetup } = await import('./setup/setup.ts');
    const lines = await runSetup({ clock: systemClock }, command, config, stopOn('SIGTERM', 'SIGINT'));
    for (const line of lines) console.log(line);
    process.exit(0);
  } catch (error) {
    console.error(`${command}: ${messageOf(error)}`);
    process.exit(1);
  }
}
try {
  const deps = { clock: systemClock, random: systemRandom, log };
  process.exit(await runController(deps, config, stopOn('SIGTERM', 'SIGINT')));
} catch (err) {
  log.error({ err }, 'the controller cannot go on');
  process.exit(1);
}
