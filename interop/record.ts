import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DialectName, dialectFor } from '@roundhouse/dialects';
import { request } from 'undici';
import { arrange } from '../apps/agent/src/arrange.ts';
import { writeArtifacts } from './artifacts.ts';
import type { Environment } from './environments.ts';
import { containerOf, type Server } from './servers.ts';
import { until } from './world.ts';

/** Calls of the repository, in an order in which each finds what it is about; the name says what should come of it. */
const calls: readonly { readonly name: string; readonly call: string; readonly before?: string }[] = [
  { name: 'live', call: 'GET /v2/health/live' },
  { name: 'list-none', call: 'LIST' },
  { name: 'load-unknown', call: 'POST /v2/repository/models/unknown/load' },
  { name: 'load-corrupt', call: 'POST /v2/repository/models/corrupt/load' },
  { name: 'list-after-corrupt', call: 'LIST' },
  { name: 'load-good', call: 'POST /v2/repository/models/good/load' },
  { name: 'list-good', call: 'LIST' },
  { name: 'ready-good', call: 'GET /v2/models/good/ready' },
  { name: 'ready-unknown', call: 'GET /v2/models/unknown/ready' },
  { name: 'load-again', call: 'POST /v2/repository/models/good/load' },
  { name: 'unload-unknown', call: 'POST /v2/repository/models/unknown/unload' },
  { name: 'unload-good', call: 'POST /v2/repository/models/good/unload' },
  { name: 'ready-unloaded', call: 'GET /v2/models/good/ready' },
  { name: 'unload-again', call: 'POST /v2/repository/models/good/unload' },
];

export const fixtures = join(import.meta.dirname, '../packages/dialects/fixtures');

/** Starts the server by itself, makes the calls that the agent makes, and writes down what came. */
export async function record(server: Server, environment: Environment, dialectName: DialectName): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'roundhouse-record-'));
  const models = join(directory, 'models');
  const dialect = dialectFor(dialectName);
  await writeArtifacts(server, environment, directory, 1);
  const framework = server.frameworks[0] ?? '';
  for (const [name, artifact] of [
    ['good', '1'],
    ['corrupt', 'corrupt'],
  ] as const) {
    mkdirSync(models, { recursive: true });
    // KServe's servers load what they find at start: there, the files come later.
    const target = join(directory, 'arranged', name);
    cpSync(join(directory, framework, artifact), target, { recursive: true });
    if (dialect.layout !== undefined) await arrange(dialect.layout, { name, framework }, target);
  }
  const { child, port } = await start(server, environment, models);
  try {
    await until('the server is live', async () => (await ask(port, 'GET', '/v2/health/live')).status === 200);
    cpSync(join(directory, 'arranged'), models, { recursive: true });
    const out = join(fixtures, `${dialectName}-${server.version(environment)}`);
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    for (const { name, call } of calls) {
      const listing = dialect.listing ?? { method: 'POST' as const, path: '/v2/repository/index' };
      const [method = '', path = ''] = call === 'LIST' ? [listing.method, listing.path] : call.split(' ');
      const { status, type, text } = await ask(port, method as 'GET' | 'POST', path);
      const said = text.replaceAll(directory, '/mnt').replaceAll(environment.directory, '/opt/python');
      writeFileSync(join(out, `${name}.http`), `${method} ${path}\n\n${status} ${type}\n\n${said}\n`);
    }
    return calls.length;
  } finally {
    child.kill('SIGKILL');
    if (child.pid !== undefined) endGroup(child.pid);
    rmSync(directory, { recursive: true, force: true });
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // all of it has ended
  }
}

async function ask(port: number, method: 'GET' | 'POST', path: string) {
  const response = await request(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(method === 'POST' ? { headers: { 'content-type': 'application/json' }, body: '{}' } : {}),
  });
  const type = String(response.headers['content-type'] ?? '-');
  return { status: response.statusCode, type, text: await response.body.text() };
}

/** As the local cluster would: the runtime's arguments and variables, with ports and paths of this machine. */
async function start(
  server: Server,
  environment: Environment,
  models: string,
): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const program = server.program?.(environment);
  if (program === undefined) throw new Error(`${server.name} is not a program of others`);
  const { args, env } = containerOf(server);
  const ports = new Map<string, number>();
  const portFor = async (containerPort: string) => {
    const port = ports.get(containerPort) ?? (await freePort());
    ports.set(containerPort, port);
    return String(port);
  };
  const given: string[] = [];
  for (const arg of args) {
    const [flag = '', value = ''] = arg.split('=');
    const isPort = program.portFlags?.includes(flag) === true;
    given.push(
      isPort ? `${flag}=${await portFor(value)}` : arg.replace('/mnt/models', models).replace('{{.Name}}', 'server'),
    );
  }
  const variables: Record<string, string> = {};
  for (const { name, value } of env) {
    variables[name] = program.portVariables?.includes(name)
      ? await portFor(value)
      : value.replace('/mnt/models', models);
  }
  const [file = '', ...before] = program.command.map((part) => part.replace('/mnt/models', models));
  const child = spawn(file, [...before, ...given, ...(program.args ?? [])], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...variables, ...program.env },
    stdio: 'ignore',
    detached: true,
  });
  await once(child, 'spawn');
  return { child, port: ports.get('8080') ?? 0 };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
