import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../testing/cluster.ts';
import { openProcesses } from './processes.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'processes-'));
  file = join(directory, 'processes.json');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const sleeper = { file: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'], env: {} };
const pidsIn = (path: string) => (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }[]).map(({ pid }) => pid);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

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

  it('ends what an earlier run left, and nothing that only has the same id', async () => {
    const old = spawn(sleeper.file, sleeper.args, { detached: true, stdio: 'ignore' });
    const other = spawn(sleeper.file, sleeper.args, { detached: true, stdio: 'ignore' });
    await Promise.all([once(old, 'spawn'), once(other, 'spawn')]);
    const first = openProcesses({ file: join(directory, 'first.json'), log: silentLog });
    const like = await first.spawn(sleeper, directory);
    const [entry] = JSON.parse(readFileSync(join(directory, 'first.json'), 'utf8')) as { identity: string }[];
    const identity = (pid: number) => identityLike(entry?.identity ?? '', pid);
    writeFileSync(
      file,
      JSON.stringify([
        { pid: old.pid, identity: identity(old.pid ?? 0) },
        { pid: other.pid, identity: 'somebody else' },
      ]),
    );
    const second = openProcesses({ file, log: silentLog });

    await once(old, 'exit');
    expect(isAlive(other.pid ?? 0)).toBe(true);
    other.kill('SIGKILL');
    first.close();
    second.close();
    expect(await like.exited).toBe(137);
  });

  it('ends what a process left behind in its group', async () => {
    const processes = openProcesses({ file, log: silentLog });
    const source = `const { spawn } = require('node:child_process');
      console.log(spawn(process.execPath, ${JSON.stringify(sleeper.args)}, { stdio: 'inherit' }).pid);
      setTimeout(() => process.exit(7), 50);`;
    const parent = await processes.spawn({ ...sleeper, args: ['-e', source] }, directory);
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];

    expect(await parent.exited).toBe(7);
    await until('the grandchild to end', () => !isAlive(Number(text.toString())));
    processes.close();
  });
});

/** The identity of `pid`, made as that of another process was. */
function identityLike(sample: string, pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return `${sample.split('/')[0]}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
}
