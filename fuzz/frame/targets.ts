import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Target, TargetGroup } from './target.ts';

const root = join(import.meta.dirname, '..');

export const groupNames: readonly string[] = readdirSync(root)
  .filter((name) => existsSync(join(root, name, 'fuzz.ts')))
  .sort();

export async function groupNamed(name: string): Promise<TargetGroup> {
  const module: { group: TargetGroup } = await import(join(root, name, 'fuzz.ts'));
  return module.group;
}

/** `group` gives all its targets, `group/target` one. Empty when there is none. */
export async function targetsNamed(name: string): Promise<readonly Target[]> {
  const [group = '', one] = name.split('/');
  if (!groupNames.includes(group)) return [];
  const { targets } = await groupNamed(group);
  return one === undefined ? targets : targets.filter((target) => target.name === one);
}
