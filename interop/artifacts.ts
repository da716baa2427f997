import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Environment } from './environments.ts';
import type { Server } from './servers.ts';

/** Writes models that answer 1 to `count` to `<directory>/<framework>/<n>/`, and a `corrupt` one beside them. */
export async function writeArtifacts(
  { frameworks }: Pick<Server, 'frameworks'>,
  { python }: Environment,
  directory: string,
  count: number,
): Promise<void> {
  const script = join(import.meta.dirname, 'python/artifacts.py');
  for (const framework of frameworks) {
    const args = [script, framework, join(directory, framework), '1', String(count)];
    await promisify(execFile)(python, args, { maxBuffer: 64 * 2 ** 20 });
  }
}
