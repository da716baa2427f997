import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askWithClients } from './clients.ts';
import { type Environment, EnvironmentMissing, type EnvironmentName, openEnvironment } from './environments.ts';
import { measureLoading } from './loading.ts';
import { record } from './record.ts';
import { type Results, renderPage, renderText, type ServerResult, type StepResult } from './report.ts';
import { type Server, servers } from './servers.ts';
import { steps } from './steps.ts';
import { openWorld, type World } from './world.ts';

const usage = `Usage: npm run interop -- [--only SERVER]... [--sizes N,N,…] [--json] [--write]
       npm run interop -- --record [--only SERVER]...

Runs real model servers behind the real agent and router in the local cluster, each by the ClusterServingRuntime that ships for it,
asks them with the real clients, and prints what passed. The servers come from PyPI, pinned, into the user's cache (2 GB).

  --only SERVER    one of ${servers.map(({ name }) => name).join(', ')} (may be repeated)
  --sizes N,N,…    how many models are loaded at once for the times (default: 1, 100 and 1000, Triton 1 and 100; 0 for none)
  --times          only the times to load, no steps and no clients
  --json           results for programs
  --record         instead, write down what each server answers to the agent's calls (packages/dialects/fixtures)
  --write          put the results into docs/compatibility.md (those of other servers stay)

Exits with 1 when a step or client failed that should not, and, with CI=true, when a server could not be installed. The environment:
ROUNDHOUSE_PYTHON names a Python 3.11 or 3.12, ROUNDHOUSE_CACHE the directory of the packages.`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    sizes: { type: 'string' },
    times: { type: 'boolean' },
    json: { type: 'boolean' },
    record: { type: 'boolean' },
    write: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const root = join(import.meta.dirname, '..');
const resultsFile = join(import.meta.dirname, 'results.json');
const say = (line: string) => console.error(line);
const names = servers.map(({ name }) => name);
const unknown = (values.only ?? []).filter((name) => !names.includes(name));

let open: World | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await open?.close();
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

if (values.help) {
  console.log(usage);
} else if (unknown.length > 0) {
  console.error(`There is no server ${unknown.join(', ')}; there are ${names.join(', ')}.`);
  process.exitCode = 2;
} else {
  await run();
}

async function run(): Promise<void> {
  const results: ServerResult[] = [];
  const skipped: string[] = [];
  const environments = new Map<EnvironmentName, Environment | string>();
  const chosen = servers.filter(({ name }) => values.only === undefined || values.only.includes(name));
  // The clients are needed for every server; what cannot be had is said with the servers that need it.
  for (const name of new Set<EnvironmentName>(['triton', 'kserve', ...chosen.map(({ environment }) => environment)])) {
    environments.set(name, await environmentOrReason(name));
  }
  for (const server of chosen) {
    const environment = environments.get(server.environment);
    if (environment === undefined || typeof environment === 'string') {
      say(`${server.name}: skipped: ${environment}`);
      skipped.push(server.name);
      continue;
    }
    if (values.record) {
      if (server.records !== undefined) {
        say(`${server.name}: ${await record(server, environment, server.records)} exchanges`);
      }
      continue;
    }
    results.push(await examine(server, environment, environments));
  }
  if (values.record) return;
  const machine = `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB.`;
  const found: Results = { machine, servers: results };
  if (values.write) write(found);
  console.log(values.json ? JSON.stringify({ ...found, skipped }, undefined, 2) : renderText(found));
  for (const name of skipped) say(`${name}: skipped`);
  const failed = results.some(
    ({ steps, clients }) =>
      steps.some(({ problem }) => problem !== undefined) || clients.some(({ problem }) => problem !== undefined),
  );
  if (failed || (skipped.length > 0 && process.env.CI === 'true')) process.exitCode = 1;
}

async function environmentOrReason(name: EnvironmentName): Promise<Environment | string> {
  try {
    return await openEnvironment(name, { env: process.env, say });
  } catch (error) {
    if (error instanceof EnvironmentMissing) return error.message;
    throw error;
  }
}

async function examine(
  server: Server,
  environment: Environment,
  environments: ReadonlyMap<EnvironmentName, Environment | string>,
): Promise<ServerResult> {
  const tell = (line: string) => say(`${server.name}: ${line}`);
  const sizes = sizesFor(server);
  tell('starting');
  const world = await openWorld(server, environment, Math.max(server.fleet + 100, ...sizes));
  open = world;
  const client = (name: EnvironmentName) => {
    const found = environments.get(name);
    return typeof found === 'object' ? found : undefined;
  };
  try {
    const passed = values.times ? [] : await takeSteps(world, tell);
    if (!values.times) tell('asking with the clients');
    const available = { triton: client('triton'), kserve: client('kserve') };
    const clients = values.times ? [] : await askWithClients(world, available);
    for (const { way, problem } of clients) tell(`${problem === undefined ? '✓' : '✗'} ${way}${reason(problem)}`);
    const loading = sizes.length === 0 ? [] : await measureLoading(world, sizes, tell);
    return {
      name: server.name,
      title: server.title(environment),
      date: new Date().toISOString().slice(0, 10),
      note: server.note,
      protocols: server.protocols,
      frameworks: server.frameworks,
      steps: passed,
      clients,
      loading,
    };
  } finally {
    open = undefined;
    await world.close();
  }
}

function sizesFor({ sizes }: Server): readonly number[] {
  if (values.sizes === undefined) return sizes;
  return values.sizes
    .split(',')
    .map(Number)
    .filter((size) => size > 0);
}

async function takeSteps(world: World, tell: (line: string) => void): Promise<readonly StepResult[]> {
  const results: StepResult[] = [];
  for (const { title, protocols, run } of steps) {
    for (const protocol of protocols ? world.server.protocols : [undefined]) {
      const began = performance.now();
      const result = await run(world, protocol ?? 'v2').then(
        (note) => ({ problem: undefined, note }),
        (error: Error) => ({ problem: error.message, note: undefined }),
      );
      results.push({ title, protocol, ...result });
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      const what = `${title}${protocol === undefined ? '' : ` (${protocol})`}`;
      tell(`${result.problem === undefined ? '✓' : '✗'} ${what}, ${seconds} s${reason(result.problem ?? result.note)}`);
    }
  }
  return results;
}

function reason(text: string | undefined): string {
  return text === undefined ? '' : `: ${text}`;
}

/** What was not asked this time stays as it was. */
function write({ machine, servers: now }: Results): void {
  const before: Results = existsSync(resultsFile)
    ? JSON.parse(readFileSync(resultsFile, 'utf8'))
    : { machine, servers: [] };
  const merged = names.flatMap((name) => {
    const [result, earlier] = [...now, ...before.servers].filter((each) => each.name === name);
    if (result === undefined) return [];
    const kept = (part: 'steps' | 'clients' | 'loading') =>
      result[part].length > 0 ? result[part] : (earlier?.[part] ?? []);
    return [{ ...result, steps: kept('steps'), clients: kept('clients'), loading: kept('loading') } as ServerResult];
  });
  const results: Results = JSON.parse(JSON.stringify({ machine, servers: merged }), withoutPaths);
  writeFileSync(resultsFile, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(join(root, 'docs/compatibility.md'), renderPage(results));
}

/** What a server says holds paths of the machine that it ran on. */
function withoutPaths(_: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll(/(?:\/[\w.+-]+){3,}/g, '…') : value;
}
