import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type DialectName, dialectFor } from '@roundhouse/dialects';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { arrange } from './arrange.ts';

describe('arrange', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'roundhouse-arrange-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const bring = async (files: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(directory, dirname(path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
  };
  const arranged = (dialect: DialectName, framework: string) => {
    const { layout } = dialectFor(dialect);
    if (layout === undefined) throw new Error('there is nothing to arrange');
    return arrange(layout, { name: 'iris', framework }, directory);
  };
  const tree = async () => (await readdir(directory, { recursive: true })).sort();

  it('makes a Triton model of a file, a library and a configuration of another name', async () => {
    await bring({ 'net.onnx': 'weights', 'lib/x/data': 'data', 'config.pbtxt': 'name: "net"\nmax_batch_size: 8\n' });

    await arranged('triton', 'onnx');

    expect(await tree()).toEqual(['1', '1/lib', '1/lib/x', '1/lib/x/data', '1/model.onnx', 'config.pbtxt']);
    expect(await readFile(join(directory, 'config.pbtxt'), 'utf8')).toBe('max_batch_size: 8\n');
    expect(await readFile(join(directory, '1/model.onnx'), 'utf8')).toBe('weights');
  });

  it('writes the settings that MLServer looks for', async () => {
    await bring({ 'model.joblib': 'weights' });

    await arranged('mlserver', 'sklearn');

    expect(await tree()).toEqual(['model-settings.json', 'model.joblib']);
    expect(JSON.parse(await readFile(join(directory, 'model-settings.json'), 'utf8'))).toMatchObject({ name: 'iris' });
  });

  it('reads no settings without bound', async () => {
    await bring({ 'model-settings.json': ' '.repeat(1024 * 1024 + 1) });

    await expect(arranged('mlserver', 'sklearn')).rejects.toMatchObject({ code: 'server/rejected' });
  });
});
