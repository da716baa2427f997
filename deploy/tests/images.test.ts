import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodeFlags } from '../../apps/cli/src/system/images.ts';

const root = join(import.meta.dirname, '../..');
const staged = (app: string, ...path: readonly string[]) => join(root, '.toolchain/images', app, ...path);
const apps = Object.keys(nodeFlags);

/** What an image may hold above the base that it starts from. */
const bytesMax = 15e6;

/** The CPU build of the ONNX runtime: one library, as its project ships it. */
const onnxRuntimeBytesMax = 48e6;

describe.runIf(apps.every((app) => existsSync(join(root, 'apps', app, 'dist/main.mjs'))))('the images', () => {
  beforeAll(() => {
    execFileSync(process.execPath, [join(root, 'tools/images.ts'), '--stage-only']);
  });

  it.each(apps)('%s holds at most 15 MB of ours above its base', (app) => {
    expect(bytesIn(staged(app, 'app'))).toBeLessThan(bytesMax);
  });

  it.each(['amd64', 'arm64'])('the model server holds one library more, that of %s', (platform) => {
    const native = staged('model-server', 'native', platform);

    expect(bytesIn(native)).toBeLessThan(onnxRuntimeBytesMax);
    expect(readdirSync(native).sort()).toEqual(['onnxruntime-common', 'onnxruntime-node']);
  });
});

function bytesIn(directory: string): number {
  return readdirSync(directory, { recursive: true })
    .map((path) => statSync(join(directory, String(path))))
    .reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
}
