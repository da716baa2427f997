import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** What a newcomer reads when the set-up cannot go on: one sentence with the cause and the way out. */

const root = join(import.meta.dirname, '..');
let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'roundhouse-bootstrap-'));
  for (const file of [
    'tools/bootstrap.mjs',
    'tools/toolchain.json',
    'package.json',
    'pnpm-lock.yaml',
    'pnpm-workspace.yaml',
  ]) {
    mkdirSync(dirname(join(place, file)), { recursive: true });
    cpSync(join(root, file), join(place, file));
  }
  for (const directory of ['packages', 'apps']) mkdirSync(join(place, directory));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function bootstrap(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/bootstrap.mjs', ...args], {
    cwd: place,
    encoding: 'utf8',
    env: { ...process.env, HOME: place, npm_config_fetch_retries: '0', ...env },
  });
  return { status, stdout, last: stderr.trimEnd().split('\n').at(-1) };
}

/** A program of this name that comes before all others and ends as told. */
function programThatSays(name: string, text: string): string {
  const bin = join(place, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, name), `#!/bin/sh\necho "${text}" >&2\nexit 1\n`);
  chmodSync(join(bin, name), 0o755);
  return `${bin}${delimiter}${process.env.PATH}`;
}

describe('the set-up', () => {
  it('says that the registry cannot be reached, and which', () => {
    const { status, last } = bootstrap(['setup'], { npm_config_registry: 'http://127.0.0.1:9/' });

    expect(status).toBe(1);
    expect(last).toMatch(
      /^roundhouse: the npm registry http:\/\/127\.0\.0\.1:9\/ cannot be reached; check the network/,
    );
  });

  it('says that the disk is full', () => {
    const { status, last } = bootstrap(['setup'], { PATH: programThatSays('npm', 'npm error code ENOSPC') });

    expect(status).toBe(1);
    expect(last).toMatch(/^roundhouse: the disk is full; free some space/);
  });

  it('says which systems are supported', () => {
    writeFileSync(join(place, 'tools/toolchain.json'), '{}');
    const { status, last } = bootstrap(['start']);

    expect(status).toBe(1);
    expect(last).toMatch(/is not a supported system; Roundhouse runs on Linux and macOS, x64 and arm64\.$/);
  });

  it('names its commands when it is given another', () => {
    expect(bootstrap(['fly'])).toMatchObject({ status: 1, last: expect.stringContaining('known are start, ') });
  });

  it('names no registry of anybody in what is locked', () => {
    expect(readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')).not.toMatch(/https?:\/\/(?!registry\.npmjs\.org)/);
  });
});
