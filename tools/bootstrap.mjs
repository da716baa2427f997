// Brings Node.js 24, pnpm, the locked dependencies and the bundles into the checkout, then runs what was asked.
// Plain JavaScript for the Node.js 20 that may be all there is. Every step is skipped when its inputs are unchanged.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const home = join(root, '.toolchain');
const bin = join(home, 'bin');
const [command, ...args] = process.argv.slice(2);
// `roundhouse` is for pipes and programs: its set-up stays silent unless it fails.
const quiet = command === 'roundhouse';

const commands = {
  start: { build: true, run: () => node(['apps/cli/dist/main.mjs', 'up', ...args]) },
  roundhouse: { build: true, run: () => node(['apps/cli/dist/main.mjs', ...args]) },
  bench: { build: true, run: () => node(['bench/main.ts', ...args]) },
  fuzz: { build: false, run: () => node(['fuzz/main.ts', ...args]) },
  interop: { build: true, run: () => node(['interop/main.ts', ...args]) },
  e2e: { build: true, run: () => node(['e2e/run.ts', ...args]) },
  'e2e:api': { build: true, run: () => node(['e2e/api.ts', ...args]) },
  test: {
    build: true,
    run: () => run(join(root, 'node_modules/.bin/turbo'), ['run', 'lint', 'typecheck', 'test', ...args]),
  },
  setup: { build: true, run: () => 0 },
};

const chosen = commands[command];
if (chosen === undefined) fail(`unknown command "${command ?? ''}"; known are ${Object.keys(commands).join(', ')}`);
if (
  command === 'start' &&
  (args.includes('--help') || args.includes('-h')) &&
  !existsSync(join(root, 'apps/cli/dist/main.mjs'))
) {
  say('The first run sets the checkout up, then shows the help.');
}
process.exitCode = await main(chosen);

async function main({ build, run: act }) {
  const platform = `${process.platform}-${process.arch}`;
  const packages = JSON.parse(readFileSync(join(root, 'tools/toolchain.json'), 'utf8'))[platform];
  if (packages === undefined)
    fail(`${platform} is not a supported system; Roundhouse runs on Linux and macOS, x64 and arm64`);

  await step('toolchain', JSON.stringify(packages), 'Node.js 24 and pnpm', () => installToolchain(packages));
  await step('dependencies', digest(dependencyFiles()), 'dependencies', () =>
    run(join(bin, 'pnpm'), ['install', '--frozen-lockfile', '--reporter=append-only'], { captured: true }),
  );
  if (build)
    await step('build', digest(sourceFiles()), 'bundles', () =>
      run(join(bin, 'node'), ['tools/bundle.ts'], { captured: true }),
    );
  return act();
}

/** Runs `action` unless it has succeeded before with the same inputs. */
async function step(name, inputs, title, action) {
  const stamp = join(home, `${name}.stamp`);
  const wanted = createHash('sha256').update(inputs).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const began = performance.now();
  say(`Setting up ${title} …`);
  mkdirSync(home, { recursive: true });
  const status = await action();
  if (status !== 0) fail(`setting up ${title} failed (exit status ${status}); its output is above`);
  writeFileSync(stamp, wanted);
  say(`Set up ${title} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

async function installToolchain(packages) {
  rmSync(join(home, 'node_modules'), { recursive: true, force: true });
  rmSync(bin, { recursive: true, force: true });
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  const flags = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  const status = await run('npm', ['install', '--prefix', home, ...flags, ...packages], { captured: true });
  if (status !== 0) return status;
  mkdirSync(bin, { recursive: true });
  const directory = (spec) => join(home, 'node_modules', spec.slice(0, spec.lastIndexOf('@')));
  symlinkSync(join(directory(packages[0]), 'bin/node'), join(bin, 'node'));
  symlinkSync(join(directory(packages[1]), 'pnpm'), join(bin, 'pnpm'));
  return 0;
}

function dependencyFiles() {
  const workspaces = ['packages', 'apps'].flatMap((dir) =>
    readdirSync(join(root, dir)).map((name) => `${dir}/${name}`),
  );
  const manifests = [...workspaces, 'e2e', 'bench', 'deploy', 'fuzz', 'interop', '.'].map(
    (dir) => `${dir}/package.json`,
  );
  return ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...manifests.filter((file) => existsSync(join(root, file)))];
}

function sourceFiles() {
  const files = ['tools/bundle.ts', 'pnpm-lock.yaml'];
  const walk = (dir) => {
    for (const entry of readdirSync(join(root, dir), { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name.endsWith('.test.ts')) continue;
      const path = `${dir}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (path.includes('/src/')) files.push(path);
    }
  };
  walk('packages');
  walk('apps');
  return files;
}

function digest(files) {
  const hash = createHash('sha256');
  for (const file of files.sort())
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

function environment() {
  return {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    ONNXRUNTIME_NODE_INSTALL: 'skip',
    TURBO_TELEMETRY_DISABLED: '1',
  };
}

function node(argv) {
  return run(join(bin, 'node'), argv);
}

/** Resolves to the exit status. `captured` output is shown only on failure, with the cause in one sentence first. */
function run(file, argv, { captured = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, argv, {
      cwd: root,
      env: environment(),
      stdio: captured ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
    let output = '';
    if (captured) for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    // The child shares our terminal and gets Ctrl-C itself; SIGTERM reaches only us and is passed on.
    const ignore = () => {};
    const pass = () => child.kill('SIGTERM');
    process.on('SIGINT', ignore).on('SIGTERM', pass);
    child.on('error', (error) => fail(`${file} cannot be started: ${error.message}`));
    child.on('close', (status, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', pass);
      if (captured && status !== 0) {
        process.stderr.write(output);
        const cause = causeOf(output);
        if (cause !== undefined) fail(cause);
      }
      resolve(status ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

function causeOf(output) {
  if (/ENOSPC|no space left/i.test(output))
    return 'the disk is full; free some space and run the command again (about 1.5 GB are needed)';
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|network|UND_ERR|ERR_SOCKET/i.test(output)) {
    const registry = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).stdout?.trim();
    return `the npm registry ${registry ?? ''} cannot be reached; check the network or "npm config get registry" and run the command again`;
  }
  return undefined;
}

function say(text) {
  if (!quiet) console.log(text);
}

function fail(text) {
  console.error(`roundhouse: ${text}.`);
  process.exit(1);
}
