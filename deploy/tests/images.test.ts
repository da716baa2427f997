import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeFlags } from '../../apps/cli/src/system/images.ts';

const root = join(import.meta.dirname, '../..');
const staged = (app: string, ...path: readonly string[]) => join(root, '.toolchain/images', app, ...path);
const apps = Object.keys(nodeFlags);

/** What an image may hold above the base that it starts from. */
const bytesMax = 15e6;

describe.runIf(apps.every((app) => existsSync(join(root, 'apps', app, 'dist/main.mjs'))))('the images', () => {
  beforeAll(() => {
    execFileSync(process.execPath, [join(root, 'tools/images.ts'), '--stage-only']);
  });

  it.each(apps)('%s holds at most 15 MB above its base', (app) => {
    expect(bytesIn(staged(app, 'app'))).toBeLessThan(bytesMax);
  });

  it.each(['amd64', 'arm64'])('model-server does so with its native library, that of %s', (platform) => {
    const native = staged('model-server', 'native', platform);

    expect(bytesIn(staged('model-server', 'app')) + bytesIn(native)).toBeLessThan(bytesMax);
    expect(readdirSync(join(native, 'node_modules')).sort()).toEqual(['onnxruntime-common', 'onnxruntime-node']);
    expect(readdirSync(join(native, 'packed'))).toHaveLength(1);
  });
});

function bytesIn(directory: string): number {
  return readdirSync(directory, { recursive: true })
    .map((path) => lstatSync(join(directory, String(path))))
    .reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
}
