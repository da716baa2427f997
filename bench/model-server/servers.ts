import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkout, until } from '../frame/stack.ts';
import { ask } from './clients.ts';

export type Server = {
  readonly port: number;
  readonly pid: number;
  /** Where its models' directories are. */
  readonly models: string;
  load(model: string): Promise<void>;
  stop(): Promise<void>;
};

/** The two models that all servers hold; `<name>/model.<extension>`. */
const shared = { xgboost: 'ubj', lightgbm: 'txt' } as const;
export type SharedModel = keyof typeof shared;

export async function startOurs(): Promise<Server> {
  const models = directoryWithModels();
  const port = await freePort();
  const main = join(checkout, 'apps/model-server/dist/main.mjs');
  return start(process.execPath, [main, '--model-dir', models, '--http-port', `${port}`], models, port);
}

/** Without worker processes: one or two answer no faster on models this small, and cost 1.6 to 2.7 times the CPU time. */
export async function startMlserver(python: string): Promise<Server> {
  const models = directoryWithModels();
  const implementations = { xgboost: 'mlserver_xgboost.XGBoostModel', lightgbm: 'mlserver_lightgbm.LightGBMModel' };
  for (const name of ['xgboost', 'lightgbm'] as const)
    for (const model of [name, `small-${name}`]) {
      const parameters = { uri: `./model.${shared[name]}`, version: '1' };
      const settings = { name: model, implementation: implementations[name], parameters };
      writeFileSync(join(models, model, 'model-settings.json'), JSON.stringify(settings));
    }
  const [port, grpcPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const settings = { http_port: port, grpc_port: grpcPort, metrics_port: metricsPort, parallel_workers: 0 };
  writeFileSync(join(models, 'settings.json'), JSON.stringify({ ...settings, load_models_at_startup: false }));
  return start(python.replace(/python$/, 'mlserver'), ['start', models], models, port);
}

/** With one worker, its default: two cost 1.2 to 1.35 times the CPU time, and a load would reach but one of them. */
export async function startKserve(python: string): Promise<Server> {
  const models = directoryWithModels();
  const port = await freePort();
  const script = join(import.meta.dirname, 'kserve_server.py');
  const args = [script, '--model_dir', models, '--http_port', `${port}`, '--enable_grpc', 'false'];
  return start(python, [...args, '--configure_logging', 'false', '--access_log_format', ''], models, port);
}

/** The interpreter of an environment that `npm run interop` has made, or undefined. */
export function pythonOf(environment: 'mlserver' | 'kserve'): string | undefined {
  const { ROUNDHOUSE_CACHE, XDG_CACHE_HOME } = process.env;
  const cache = join(ROUNDHOUSE_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'roundhouse'), 'python');
  const found = existsSync(cache) ? readdirSync(cache) : [];
  const complete = found.filter(
    (name) => name.startsWith(`${environment}-`) && existsSync(join(cache, name, '.complete')),
  );
  return complete[0] === undefined ? undefined : join(cache, complete[0], 'bin/python');
}

/** Adds a directory with the file of an example. */
export function addExample(models: string, name: string, example: string, file: string): void {
  mkdirSync(join(models, name));
  cpSync(join(checkout, 'examples/models', example, file), join(models, name, file));
}

function directoryWithModels(): string {
  const models = mkdtempSync(join(tmpdir(), 'roundhouse-bench-models-'));
  for (const [name, extension] of Object.entries(shared)) {
    mkdirSync(join(models, name));
    cpSync(join(import.meta.dirname, 'models', `${name}.${extension}`), join(models, name, `model.${extension}`));
    addExample(models, `small-${name}`, `cancer-${name}`, `model.${extension}`);
  }
  addExample(models, 'small-onnx', 'iris-onnx', 'model.onnx');
  return models;
}

async function start(file: string, args: readonly string[], models: string, port: number): Promise<Server> {
  const env = { ...process.env, OMP_NUM_THREADS: '1' };
  // MLServer leaves files of its metrics where it runs.
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env, cwd: models });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-2_000);
  });
  try {
    await until(`${file} is up`, async () => {
      if (child.exitCode !== null) throw new Error(`${file} ended: ${errors}`);
      return await isLive(port);
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return {
    port,
    pid: child.pid ?? 0,
    models,
    async load(model) {
      const path = `/v2/repository/models/${model}/load`;
      const { status, text } = await ask(port, { method: 'POST', path, body: '{}' });
      if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
    },
    async stop() {
      await end(child);
      rmSync(models, { recursive: true, force: true });
    },
  };
}

async function isLive(port: number): Promise<boolean> {
  try {
    return (await ask(port, { method: 'GET', path: '/v2/health/live', body: '' })).status === 200;
  } catch {
    return false;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
