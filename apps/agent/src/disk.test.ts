import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ModelDisk, openModelDisk } from './disk.ts';
import { versionOf } from './model.ts';
import { aModel } from './testing/world.ts';
import { createVolume } from './volume.ts';

describe('openModelDisk', () => {
  let directory: string;
  let disk: ModelDisk;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'roundhouse-disk-'));
    disk = openModelDisk(createVolume(0), directory);
    await disk.adopt();
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const old = aModel('iris');
  const newer = aModel('iris', { memory: '2Mi' });
  const path = (...parts: readonly string[]) => join(directory, ...parts);
  const bring = async (model: typeof old, content: string) => {
    const staged = await disk.stage(model.name);
    await mkdir(staged.directory);
    await writeFile(join(staged.directory, 'model.onnx'), content);
    await staged.commit(model, versionOf(model));
  };
  const content = () => readFile(path('iris', 'model.onnx'), 'utf8');
  const afterCrash = async () => Object.fromEntries(await openModelDisk(createVolume(0), directory).adopt());

  it('shows a model only when it is complete, with the marker of its version', async () => {
    await bring(old, 'one');

    expect((await readdir(directory)).filter((name) => name !== '.roundhouse')).toEqual([]);

    await disk.place('iris');
    await disk.settle('iris');

    expect((await readdir(path('iris'))).sort()).toEqual([`SUCCESS.${versionOf(old)}`, 'model.onnx']);
    expect(JSON.parse(await readFile(path('iris', `SUCCESS.${versionOf(old)}`), 'utf8'))).toEqual({
      storageUri: old.storageUri,
      framework: 'onnx',
      memory: '1Mi',
    });
  });

  it('changes versions by renaming, and back when the new one is refused', async () => {
    await bring(old, 'one');
    await disk.place('iris');
    await disk.settle('iris');
    await bring(newer, 'two');
    await disk.place('iris');

    expect(await content()).toBe('two');
    expect(await disk.restore('iris')).toBe(true);
    expect(await content()).toBe('one');

    await disk.place('iris');
    await disk.settle('iris');

    expect([await content(), await disk.restore('iris')]).toEqual(['two', false]);
  });

  it('takes over what is complete, and deletes what is not', async () => {
    await bring(old, 'one');
    await disk.place('iris');
    await disk.settle('iris');
    await bring(aModel('wine'), 'wine');
    await mkdir((await disk.stage('half')).directory);
    await mkdir(path('.roundhouse/ready/torn'));
    await mkdir(path('foreign'));

    expect(await afterCrash()).toEqual({
      iris: { placed: versionOf(old), ready: undefined, uncertain: false },
      wine: { placed: undefined, ready: versionOf(aModel('wine')), uncertain: false },
    });
    expect([await readdir(path('.roundhouse/staging')), await readdir(path('.roundhouse/ready'))]).toEqual([
      [],
      ['wine'],
    ]);
    expect(await readdir(path('foreign'))).toEqual([]);
  });

  it('puts the old version back when a crash hit between the renames', async () => {
    await bring(old, 'one');
    await disk.place('iris');
    await disk.settle('iris');
    await bring(newer, 'two');
    await rename(path('iris'), path('.roundhouse/previous/iris'));

    expect(await afterCrash()).toEqual({
      iris: { placed: versionOf(old), ready: versionOf(newer), uncertain: true },
    });
    expect(await content()).toBe('one');
  });

  it('does not know which version the server has when a crash hit before its answer', async () => {
    await bring(old, 'one');
    await disk.place('iris');
    await disk.settle('iris');
    await bring(newer, 'two');
    await disk.place('iris');

    expect(await afterCrash()).toEqual({ iris: { placed: versionOf(newer), ready: undefined, uncertain: true } });
    expect(await readdir(path('.roundhouse/previous'))).toEqual([]);
  });

  it('removes all of a model, or what waits', async () => {
    await bring(old, 'one');
    await disk.place('iris');
    await bring(newer, 'two');
    await disk.remove('iris', 'ready');

    expect(await readdir(path('.roundhouse/ready'))).toEqual([]);

    await disk.remove('iris');
    await disk.remove('iris');

    expect((await readdir(directory)).filter((name) => name !== '.roundhouse')).toEqual([]);
  });

  it.each([['../evil'], ['.roundhouse'], ['a/b'], ['']])('refuses %j as the name of a directory', async (name) => {
    await expect(disk.stage(name)).rejects.toMatchObject({ code: 'agent/name' });
    await expect(disk.remove(name)).rejects.toMatchObject({ code: 'agent/name' });
  });

  it('remembers the assignment, and takes a broken file for none', async () => {
    expect(await disk.loadAssignment()).toBeUndefined();

    await disk.saveAssignment([old, newer]);

    expect((await disk.loadAssignment())?.map(versionOf)).toEqual([versionOf(old), versionOf(newer)]);

    await writeFile(path('.roundhouse/assignment.json'), '[{');

    expect(await disk.loadAssignment()).toBeUndefined();
  });
});
