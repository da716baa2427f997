import { mkdir, readdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CodedError } from '@roundhouse/base';
import type { Layout } from '@roundhouse/dialects';

/** Settings of models are a page of text; more is no settings file. */
const textBytesMax = 1024 * 1024;

type Model = { readonly name: string; readonly framework: string };

/** Makes what was downloaded to `directory` what the model server takes. Throws `server/rejected` when it can never be that. */
export async function arrange(layout: Layout, { name, framework }: Model, directory: string): Promise<void> {
  const paths = await filesIn(directory);
  const texts = new Map<string, string>();
  for (const path of paths) if (layout.reads(path)) texts.set(path, await readText(directory, path));
  const { moves, writes } = layout.plan({ model: name, framework, paths, texts });
  for (const { from, to } of moves) {
    await mkdir(dirname(join(directory, to)), { recursive: true });
    await rename(join(directory, from), join(directory, to));
  }
  for (const { path, text } of writes) await writeFile(join(directory, path), text);
  for (const parent of emptied(moves)) await rmdir(join(directory, parent)).catch(() => {}); // others are still in it
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

async function readText(directory: string, path: string): Promise<string> {
  const { size } = await stat(join(directory, path));
  if (size > textBytesMax) {
    throw new CodedError(
      'server/rejected',
      `${path} of the artifact is ${size} bytes; at most ${textBytesMax} are read`,
    );
  }
  return await readFile(join(directory, path), 'utf8');
}

/** Directories that moves may have left empty, the innermost first. */
function emptied(moves: readonly { readonly from: string }[]): readonly string[] {
  const parents = new Set<string>();
  for (const { from } of moves) {
    for (let parent = dirname(from); parent !== '.'; parent = dirname(parent)) parents.add(parent);
  }
  return [...parents].sort((a, b) => b.length - a.length);
}
