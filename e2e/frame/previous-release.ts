import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Installed, imagesOf } from './installation.ts';
import { loadImages } from './kind.ts';
import { run } from './run.ts';
import { checkout } from './world.ts';

export type Release = { readonly chart: string; readonly tag: string; readonly what: string };

/**
 * The commit before this one (or `E2E_PREVIOUS`) as a release: its chart, and images of its sources, loaded into the cluster. It is
 * built with the dependencies of this checkout.
 */
export async function previousRelease({ kindCluster, registry, tag: current }: Installed): Promise<Release> {
  const ref = process.env.E2E_PREVIOUS ?? 'HEAD~1';
  const commit = (await run('git', ['-C', checkout, 'rev-parse', '--short=12', ref])).trim();
  const directory = join(checkout, '.toolchain/e2e/previous');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const archive = join(directory, 'previous.tar');
  await run('git', ['-C', checkout, 'archive', '-o', archive, commit]);
  await run('tar', ['-xf', archive, '-C', directory]);
  linkDependencies(directory);
  const tag = `${current}-previous`;
  const base = process.env.E2E_BASE_IMAGE;
  await run(process.execPath, [join(directory, 'tools/bundle.ts')]);
  await run(process.execPath, [
    join(directory, 'tools/images.ts'),
    ...['--registry', registry, '--tag', tag, ...(base ? ['--base', base] : [])],
  ]);
  await loadImages(kindCluster ?? '', imagesOf(registry, tag));
  return { chart: join(directory, 'deploy/chart'), tag, what: `commit ${commit}` };
}

/** Each workspace's own folder of links is copied, so that they lead to the previous commit's packages. */
function linkDependencies(directory: string): void {
  symlinkSync(join(checkout, 'node_modules'), join(directory, 'node_modules'));
  for (const group of ['packages', 'apps']) {
    for (const name of readdirSync(join(directory, group))) {
      const from = join(checkout, group, name, 'node_modules');
      const to = join(directory, group, name, 'node_modules');
      if (existsSync(from)) cpSync(from, to, { recursive: true, verbatimSymlinks: true });
    }
  }
}
