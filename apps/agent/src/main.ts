import { stopOn } from '@roundhouse/base';
import { parseConfig } from './config.ts';
import { buildAgent } from './wiring.ts';

const parsed = parseConfig(process.env, process.argv.slice(2));
switch (parsed.kind) {
  case 'help':
    console.log(parsed.text);
    break;
  case 'problems':
    for (const problem of parsed.problems) console.error(problem);
    process.exit(2);
    break;
  case 'config': {
    // Runs until asked to stop, then drains: unready, requests in flight end, and everything is closed.
    const agent = await buildAgent(parsed.config, process.env, (line) => process.stdout.write(`${line}\n`));
    await agent.run(stopOn('SIGTERM', 'SIGINT'));
    process.exit(0);
  }
}
