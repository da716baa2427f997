// The contract suites on a real API server: `npm run e2e:api`. CONTRACT_KUBECONFIG names one; without it, the program that
// E2E_API_DRIVER names starts and stops one (`api up --kubeconfig FILE STATE`, `api down --purge STATE`).
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './frame/run.ts';
import { checkout } from './frame/world.ts';

const suites = [
  ['packages/local-cluster', 'contract'],
  ['apps/controller', 'contract'],
  ['e2e', 'contract'],
] as const;

const driver = process.env.E2E_API_DRIVER;
const given = process.env.CONTRACT_KUBECONFIG;
const scratch = join(checkout, '.toolchain/e2e', `api-${process.pid}`);

if (process.argv.includes('--help') || (given === undefined && driver === undefined)) {
  console.log(
    'npm run e2e:api: the contract suites on the API server of CONTRACT_KUBECONFIG, or on one that E2E_API_DRIVER starts',
  );
  process.exitCode = given === undefined && driver === undefined ? 2 : 0;
} else process.exitCode = await main();

async function main(): Promise<number> {
  if (given !== undefined) return await runSuites(given);
  mkdirSync(scratch, { recursive: true });
  const kubeconfig = join(scratch, 'kubeconfig');
  const state = join(scratch, 'state');
  try {
    await run(driver ?? '', ['api', 'up', '--kubeconfig', kubeconfig, state]);
    return await runSuites(kubeconfig);
  } finally {
    await run(driver ?? '', ['api', 'down', '--purge', state]);
  }
}

async function runSuites(kubeconfig: string): Promise<number> {
  let failed = 0;
  for (const [workspace, filter] of suites) {
    console.log(`\n${workspace}`);
    const child = spawn(join(checkout, 'node_modules/.bin/vitest'), ['run', filter], {
      cwd: join(checkout, workspace),
      stdio: 'inherit',
      env: { ...process.env, CONTRACT_KUBECONFIG: kubeconfig },
    });
    if ((await new Promise((resolve) => child.once('close', resolve))) !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
}
