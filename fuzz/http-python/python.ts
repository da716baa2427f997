import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Reading } from '../http/passing.ts';

/** As KServe's and MLServer's servers have them today, under uvicorn. */
const pins = ['httptools==0.9.0', 'h11==0.16.0'];

/** A Python with the parsers, made by pip in the user's cache unless it is there. */
export function python(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const home = join(cache, 'roundhouse', `parsers-${pins.join('-').replaceAll('==', '-')}`);
  const path = join(home, 'bin/python');
  if (existsSync(path)) return path;
  console.log(`Installing ${pins.join(' and ')} …`);
  const making = `${home}.${process.pid}`;
  run('python3', '-m', 'venv', making);
  run(join(making, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...pins);
  rmSync(home, { recursive: true, force: true });
  renameSync(making, home);
  return path;
}

function run(program: string, ...args: readonly string[]) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0)
    throw new Error(`${program} ${args.slice(0, 3).join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

let running: ChildProcess | undefined;
let lines: AsyncIterator<string> | undefined;

/** What the parser `name` reads in the bytes of one connection. */
export async function readByPython(name: 'httptools' | 'h11', bytes: Buffer): Promise<Reading> {
  if (running === undefined) {
    running = spawn(python(), [join(import.meta.dirname, 'parsers.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    lines = createInterface(running.stdout!)[Symbol.asyncIterator]();
  }
  running.stdin!.write(`${name} ${bytes.toString('hex')}\n`);
  const { value, done } = await lines!.next();
  if (done) throw new Error('the parsers have ended');
  const { lines: found, error } = JSON.parse(value) as { lines: string[]; error?: string };
  return { lines: found, error };
}
