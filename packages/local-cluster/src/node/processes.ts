import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import type { Log } from '@roundhouse/telemetry';
import type { Command } from './images.ts';

export type Process = {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** The exit code as a shell gives it: 128 + the signal's number when a signal ended it. */
  readonly exited: Promise<number>;
  /** Asks the process itself to end. */
  terminate(): void;
  /** Ends it and all that it started, at once. */
  kill(): void;
};

export type Processes = {
  /** Starts a process in a group of its own, so that Ctrl-C in the terminal reaches us and not our children. */
  spawn(command: Command, cwd: string): Promise<Process>;
  /** Ends all of them; resolves once nothing of ours is left. */
  close(): Promise<void>;
};

// Holds the ids of our process groups (one line is the whole list) and ends them when we are gone, whatever ended us.
// A shell, since it needs a hundredth of the memory of another Node.js.
const watcherScript = `trap '' INT TERM HUP
pids=
while read -r line; do pids=$line; done
for pid in $pids; do kill -s KILL -- "-$pid"; done`;

/** Starts processes and sees to it that none outlives us. `file` keeps their ids, for the start after a hard end. */
export function openProcesses({ file, log }: { readonly file: string; readonly log: Log }): Processes {
  /** When each process started, by its id. */
  const running = new Map<number, string>();
  let watcher: ChildProcess | undefined;
  let closed = false;

  mkdirSync(dirname(file), { recursive: true });
  endOrphans(file, log);

  const startWatcher = () => {
    watcher = spawn('/bin/sh', ['-c', watcherScript], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    watcher.on('error', (error) => log.warn({ err: error }, 'nothing ends the containers if this process is killed'));
    watcher.stdin?.on('error', () => {}); // its exit, which comes next, says it all
    watcher.once('exit', () => {
      if (!closed) startWatcher();
    });
    watcher.unref();
    record();
  };
  const record = () => {
    watcher?.stdin?.write(`${[...running.keys()].join(' ')}\n`);
    writeFileSync(`${file}.new`, JSON.stringify([...running].map(([pid, identity]) => ({ pid, identity }))));
    renameSync(`${file}.new`, file);
  };
  startWatcher();

  return {
    async spawn({ file: program, args, env }, cwd) {
      if (closed) throw new Error('the node is closed');
      const child = spawn(program, args, { cwd, env: { ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
      const exited = new Promise<number>((resolve) => {
        child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
      });
      await once(child, 'spawn');
      const pid = child.pid as number;
      const kill = () => endGroup(pid);
      running.set(pid, identityOf(pid) ?? '');
      record();
      return {
        pid,
        stdout: child.stdout,
        stderr: child.stderr,
        exited: exited.then((code) => {
          kill(); // what it started and left behind
          running.delete(pid);
          record();
          return code;
        }),
        terminate: () => void child.kill('SIGTERM'),
        kill,
      };
    },
    async close() {
      closed = true;
      for (const pid of running.keys()) endGroup(pid);
      if (watcher === undefined || watcher.exitCode !== null || watcher.signalCode !== null) return;
      const gone = once(watcher, 'exit');
      watcher.ref();
      watcher.kill('SIGKILL'); // its work is done: it must not outlive us
      await gone;
    },
  };
}

/** Ends what an earlier run left; a process that merely has the same id now is left alone. */
function endOrphans(file: string, log: Log): void {
  let left: readonly { readonly pid: number; readonly identity: string }[];
  try {
    left = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return; // there was no earlier run
  }
  for (const { pid, identity } of left) {
    if (identity === '' || identityOf(pid) !== identity) continue;
    log.warn({ pid }, 'ending a container that an earlier run left behind');
    endGroup(pid);
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // all of it has ended
  }
}

/** When a process started: together with its id it is one process only. Undefined when it has ended. */
function identityOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux')
      return execFileSync('ps', ['-o', 'lstart=', '-p', `${pid}`], { encoding: 'utf8' });
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The fields after the name, which may hold anything: the state, and 19 fields on the start in ticks since boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined; // it has ended, and nobody has asked how
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch {
    return undefined;
  }
}
