import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isAlive, until } from '../testing/cluster.ts';
import { openProcesses } from './processes.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'processes-'));
  file = join(directory, 'processes.json');
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true, force: true });
});

const sleeper = { file: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'], env: {} };
const pidsIn = (path: string) => (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }[]).map(({ pid }) => pid);

/** A program that runs a sleeper as the node does, and says so. */
function startParent(): ChildProcess {
  const source = `
    import { openProcesses } from ${JSON.stringify(join(import.meta.dirname, 'processes.ts'))};
    import { silentLog } from '@roundhouse/telemetry';
    const processes = openProcesses({ file: ${JSON.stringify(file)}, log: silentLog });
    await processes.spawn(${JSON.stringify(sleeper)}, '/');
    console.log('running');
    setInterval(() => {}, 1000);`;
  const args = ['--input-type=module-typescript', '-e', source];
  return spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] });
}

describe('openProcesses', () => {
  it('leaves nothing running when its own process is killed', async () => {
    const parent = startParent();
    await once(parent.stdout ?? parent, 'data');
    const [pid = 0] = pidsIn(file);
    expect(isAlive(pid)).toBe(true);

    parent.kill('SIGKILL');

    await until('the sleeper to end', () => !isAlive(pid), 3000);
  });

  // Without /proc, as on macOS, it is ps that tells processes apart; ps is there on Linux as well.
  it.each([...new Set([process.platform, 'darwin'])])(
    'ends what an earlier run left, and nothing that only has the same id, on %s',
    async (platform) => {
      vi.spyOn(process, 'platform', 'get').mockReturnValue(platform as NodeJS.Platform);
      const earlier = openProcesses({ file, log: silentLog });
      const [left, other] = await Promise.all([earlier.spawn(sleeper, directory), earlier.spawn(sleeper, directory)]);
      const entries = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; identity: string }[];
      const [leftPid = 0, otherPid = 0] = pidsIn(file);
      const edited = entries.map((entry) => (entry.pid === otherPid ? { ...entry, identity: 'somebody else' } : entry));
      writeFileSync(file, JSON.stringify(edited));
      const later = openProcesses({ file, log: silentLog });

      expect(await left.exited).toBe(137);
      expect([isAlive(leftPid), isAlive(otherPid)]).toEqual([false, true]);
      await earlier.close();
      await later.close();
      expect(await other.exited).toBe(137);
    },
  );

  it('ends what a process left behind in its group', async () => {
    const processes = openProcesses({ file, log: silentLog });
    const source = `const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ${JSON.stringify(sleeper.args)}, { stdio: 'inherit' });
      console.log(child.pid);
      child.unref();
      process.exitCode = 7;`;
    const parent = await processes.spawn({ ...sleeper, args: ['-e', source] }, directory);
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];

    expect(await parent.exited).toBe(7);
    await until('the grandchild to end', () => !isAlive(Number(text.toString())));
    await processes.close();
  });
});
