import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Installed, imagesOf } from './installation.ts';
import { loadImages } from './kind.ts';
import { run } from './run.ts';
import { checkout } from './world.ts';

export type Release = { readonly chart: string; readonly tag: string; readonly what: string };

/**
 * The commit before this one (or `E2E_PREVIOUS`) as a release: its chart, and images of its sources, loaded into the cluster. It is
 * built with the dependencies of this checkout. Where there is no such commit, or it has no chart, this one under another tag.
 */
export async function previousRelease(installed: Installed): Promise<Release> {
  const { kindCluster, registry, tag: current } = installed;
  const tag = `${current}-previous`;
  const commit = await previousCommit();
  if (commit === undefined) {
    for (const [index, image] of imagesOf(registry, current).entries())
      await run('docker', ['tag', image, imagesOf(registry, tag)[index] ?? '']);
    await loadImages(kindCluster ?? '', imagesOf(registry, tag));
    return { chart: join(checkout, 'deploy/chart'), tag, what: 'this commit under another tag' };
  }
  const directory = join(checkout, '.toolchain/e2e/previous');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const archive = join(directory, 'previous.tar');
  await run('git', ['-C', checkout, 'archive', '-o', archive, commit]);
  await run('tar', ['-xf', archive, '-C', directory]);
  linkDependencies(directory);
  const base = process.env.E2E_BASE_IMAGE;
  await run(process.execPath, [join(directory, 'tools/bundle.ts')]);
  await run(process.execPath, [
    join(directory, 'tools/images.ts'),
    ...['--registry', registry, '--tag', tag, ...(base ? ['--base', base] : [])],
  ]);
  await loadImages(kindCluster ?? '', imagesOf(registry, tag));
  return { chart: join(directory, 'deploy/chart'), tag, what: `commit ${commit}` };
}

async function previousCommit(): Promise<string | undefined> {
  const ref = process.env.E2E_PREVIOUS ?? 'HEAD~1';
  const git = (...args: readonly string[]) => run('git', ['-C', checkout, ...args]);
  try {
    for (const path of ['deploy/chart/Chart.yaml', 'tools/images.ts']) await git('cat-file', '-e', `${ref}:${path}`);
    return (await git('rev-parse', '--short=12', ref)).trim();
  } catch {
    return undefined;
  }
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
