import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadInSight } from './sight.ts';

describe('loadInSight', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'roundhouse-sight-'));
    await mkdir(join(directory, 'iris'));
    await writeFile(join(directory, 'iris', 'settings'), '');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const { signal } = new AbortController();
  const files = () => readdir(join(directory, 'iris'));

  it('shows the file while the model loads, each time, and when the load fails too', async () => {
    const seen: string[][] = [];
    const load = loadInSight(
      {
        async load() {
          seen.push(await files());
          if (seen.length === 2) throw new Error('refused');
        },
      },
      directory,
      'settings',
    );

    await load('iris', signal);

    expect(await files()).toEqual(['settings.loaded']);
    await expect(load('iris', signal)).rejects.toThrow('refused');
    await load('iris', signal);

    expect(seen).toEqual([['settings'], ['settings'], ['settings']]);
    expect(await files()).toEqual(['settings.loaded']);
  });

  it('does without the file where the artifact has it elsewhere', async () => {
    const load = loadInSight({ load: async () => {} }, directory, 'other');

    await expect(load('iris', signal)).resolves.toBeUndefined();
  });
});
