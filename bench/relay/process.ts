import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

/** What is measured has a core to itself; load and model server share the other. */
export const cores = { proxy: 1, rest: 0 } as const;

/** Pinning wants two cores and `taskset`; without, the figures are noisier and the report says so. */
export const pins = availableParallelism() > 1 && programAt('taskset') !== undefined;

/** Where configurations, sockets, certificates and compiled programs are while the benchmark runs. */
export const scratch = mkdtempSync(join(tmpdir(), 'roundhouse-relay-'));
chmodSync(scratch, 0o755); // nginx's workers are somebody else
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

export type Running = {
  readonly pid: number;
  readonly child: ChildProcess;
  stop(): Promise<void>;
};

/** The path of a program on the PATH, or undefined. */
export function programAt(name: string): string | undefined {
  const { stdout, status } = spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${name}`], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

export function firstLine(file: string, ...args: string[]): string {
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  return `${stdout}${stderr}`.trim().split('\n')[0] ?? '';
}

const compiled = new Map<string, string>();

/** Compiles `native/<name>.c` with the system's compiler, once. */
export function native(name: 'floor' | 'stub' | 'load'): string {
  let path = compiled.get(name);
  if (path === undefined) {
    path = join(scratch, name);
    execFileSync('cc', ['-O2', '-o', path, join(import.meta.dirname, 'native', `${name}.c`)]);
    compiled.set(name, path);
  }
  return path;
}

/** Command and arguments that run `file` on `core`. */
export function pinned(core: number, file: string, args: readonly string[]): [string, string[]] {
  return pins ? ['taskset', ['-c', `${core}`, file, ...args]] : [file, [...args]];
}

type StartOptions = {
  readonly core?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** It is up when this port takes connections. */
  readonly port: number;
};

/** Starts a server; its output goes to a file that is shown when it ends early. */
export async function startServer(file: string, args: readonly string[], options: StartOptions): Promise<Running> {
  const log = join(scratch, `${options.port}.log`);
  const output = openSync(log, 'a');
  const [command, all] = pinned(options.core ?? cores.proxy, file, args);
  const child = spawn(command, all, { stdio: ['ignore', output, output], env: options.env ?? process.env });
  let ended = false;
  const exit = new Promise<void>((resolve) =>
    child.once('exit', () => {
      ended = true;
      resolve();
    }),
  );
  const running = {
    pid: child.pid ?? 0,
    child,
    async stop() {
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exit;
      clearTimeout(kill);
    },
  };
  for (let tries = 0; !(await accepts(options.port)); tries++) {
    if (ended || tries > 600) {
      await running.stop();
      throw new Error(`${file} did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`);
    }
    await pause(50);
  }
  return running;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Proportional set size: what a process keeps resident, shared pages divided among those who share them. */
export function pssBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const [, kB = '0'] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
      return sum + Number(kB) * 1024;
    } catch {
      return sum; // gone since the listing
    }
  }, 0);
}
