import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The pinned Python environments: of KServe's and MLServer's servers and of Triton, each with its clients. */
export const environmentNames = ['kserve', 'mlserver', 'triton'] as const;
export type EnvironmentName = (typeof environmentNames)[number];

export type Environment = {
  readonly directory: string;
  readonly python: string;
  /** Its programs, such as `mlserver`. */
  readonly bin: string;
  readonly sitePackages: string;
  /** Versions by package, as pinned. */
  readonly versions: ReadonlyMap<string, string>;
};

/** Why an environment cannot be had on this system. */
export class EnvironmentMissing extends Error {
  override readonly name = 'EnvironmentMissing';
}

export type EnvironmentDeps = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: (line: string) => void;
};

/** The pins were made for these, and the wheels that they name exist for them. */
const pythonVersions = ['3.11', '3.12'];

/** Long enough for the largest environment over a slow connection. */
const waitMsMax = 30 * 60_000;

/**
 * Makes the environment unless it is there: a virtual environment with exactly the pinned packages, by pip alone. It is kept in
 * the user's cache (`ROUNDHOUSE_CACHE`, else `XDG_CACHE_HOME/roundhouse`, else `~/.cache/roundhouse`), by a digest of its pins, so
 * that checkouts share it. Throws EnvironmentMissing with the reason when this system cannot have it.
 */
export async function openEnvironment(name: EnvironmentName, deps: EnvironmentDeps): Promise<Environment> {
  const lock = readFileSync(join(import.meta.dirname, 'environments', `${name}.txt`), 'utf8');
  const python = findPython(deps.env);
  const digest = createHash('sha256').update(`${python.version}\n${lock}`).digest('hex').slice(0, 12);
  const cache = deps.env.ROUNDHOUSE_CACHE ?? join(deps.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'roundhouse');
  const directory = join(cache, 'python', `${name}-${digest}`);
  const environment = {
    directory,
    python: join(directory, 'bin/python'),
    bin: join(directory, 'bin'),
    sitePackages: join(directory, 'lib', `python${python.version}`, 'site-packages'),
    versions: versionsIn(lock),
  };
  const complete = join(directory, '.complete');
  if (existsSync(complete)) return environment;
  mkdirSync(join(cache, 'python'), { recursive: true });
  const release = await acquire(`${directory}.lock`, name, deps.say);
  try {
    if (existsSync(complete)) return environment;
    const began = performance.now();
    rmSync(directory, { recursive: true, force: true });
    await pip(name, python.file, ['-m', 'venv', directory], deps);
    const file = join(import.meta.dirname, 'environments', `${name}.txt`);
    // The list is whole, so pip has nothing to resolve.
    const install = ['install', '--no-deps', '--no-input', '--disable-pip-version-check', '--progress-bar=off'];
    await pip(name, environment.python, ['-m', 'pip', ...install, '--requirement', file], deps, environment.versions);
    writeFileSync(complete, '');
    deps.say(`${name}: environment made in ${((performance.now() - began) / 1000).toFixed(0)} s (${directory})`);
    return environment;
  } finally {
    release();
  }
}

function findPython(env: EnvironmentDeps['env']): { readonly file: string; readonly version: string } {
  const given = env.ROUNDHOUSE_PYTHON;
  const candidates =
    given === undefined ? [...pythonVersions.map((version) => `python${version}`), 'python3'] : [given];
  const ask = 'import sys, venv; print("%d.%d" % sys.version_info[:2])';
  for (const file of candidates) {
    const { stdout = '' } = spawnSync(file, ['-c', ask], { encoding: 'utf8' });
    const version = stdout?.trim() ?? '';
    if (pythonVersions.includes(version)) return { file, version };
  }
  const wanted = pythonVersions.join(' or ');
  const tried = candidates.join(', ');
  throw new EnvironmentMissing(
    `no Python ${wanted} with venv among ${tried}; install one or name it in ROUNDHOUSE_PYTHON`,
  );
}

function versionsIn(lock: string): ReadonlyMap<string, string> {
  return new Map(
    [...lock.matchAll(/^([A-Za-z0-9._-]+)==([^\s;]+)/gm)].map(([, name = '', version = '']) => [name, version]),
  );
}

/** Runs one step of the set-up; says which of `packages` pip is at. */
async function pip(
  name: string,
  file: string,
  args: readonly string[],
  { env, say }: EnvironmentDeps,
  packages: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const errors: string[] = [];
  let collected = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, found] = /^Collecting (\S+?)[=<>~(]/.exec(line) ?? [];
    if (found !== undefined) say(`${name}: ${++collected} of ${packages.size}: ${found}`);
    if (line.startsWith('Installing collected packages')) say(`${name}: all there, unpacking …`);
  });
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  const status = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  if (status === 0) return;
  const cause = errors.findLast((line) => /error/i.test(line)) ?? errors.at(-1) ?? `exit status ${status}`;
  throw new EnvironmentMissing(`pip could not make the environment "${name}": ${cause}`);
}

/** Held by one process at a time: a file with its pid. One that a dead process left is taken over. */
async function acquire(path: string, name: string, say: (line: string) => void): Promise<() => void> {
  const deadline = performance.now() + waitMsMax;
  for (let waited = false; ; waited = true) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!isHeld(path)) rmSync(path, { force: true });
    else if (performance.now() > deadline) throw new EnvironmentMissing(`another process holds ${path} for too long`);
    else if (!waited) say(`${name}: another process makes this environment; waiting …`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function isHeld(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

// As a command: makes those that are named, or all, and prints where they are.
if (process.argv[1] === import.meta.filename) {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !environmentNames.some((known) => known === name));
  if (unknown.length > 0) {
    console.error(`There is no environment ${unknown.join(', ')}; there are ${environmentNames.join(', ')}.`);
    process.exit(2);
  }
  for (const name of environmentNames.filter((each) => wanted.length === 0 || wanted.includes(each))) {
    try {
      const { directory } = await openEnvironment(name, { env: process.env, say: (line) => console.error(line) });
      console.log(`${name} ${directory}`);
    } catch (error) {
      console.error(`${name}: skipped: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}
