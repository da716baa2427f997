import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { target } from './world.ts';

/** Local scenarios run the bundles, as they ship; this brings them up to date, and does nothing when they are. */
export default function setup(): void {
  if (target !== 'local') return; // run.ts did it
  const bootstrap = join(import.meta.dirname, '../../tools/bootstrap.mjs');
  const { status } = spawnSync(process.execPath, [bootstrap, 'setup'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the bundles could not be made; the reason is above');
}
