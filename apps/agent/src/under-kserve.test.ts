import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfig } from './config.ts';
import { freePort } from './testing/free-port.ts';
import { until } from './testing/rig.ts';
import { type Agent, buildAgent } from './wiring.ts';

const root = join(import.meta.dirname, '../../..');
const artifact = join(root, 'examples/models/diabetes-xgboost/model.json');
const example = join(root, 'examples/expected/diabetes-xgboost.json');

/** Many more than the hundred at which KServe's own agent stops (its channel of commands has so many places). */
const many = 1_000;

/** One pod as KServe's webhook makes it: a server, and the container `agent`, which knows of nothing but the mounted ConfigMap. */
describe('an agent in a pod of KServe’s controller', () => {
  let directory: string;
  let store: Server;
  let server: ChildProcess | undefined;
  let stop: (() => Promise<void>) | undefined;
  /** Paths that the store answers 503 to, so often. */
  const failures = new Map<string, number>();
  const path = (name: string) => join(directory, name);

  beforeEach(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'roundhouse-agent-')));
    await mkdir(path('models'));
    await mkdir(path('configs'));
    const bytes = await readFile(artifact);
    store = createServer((request, response) => {
      const left = failures.get(request.url ?? '') ?? 0;
      failures.set(request.url ?? '', left - 1);
      response.statusCode = left > 0 ? 503 : 200;
      response.end(left > 0 ? '' : request.url?.startsWith('/corrupt/') ? '{' : bytes);
    }).listen(0, '127.0.0.1');
    await once(store, 'listening');
  });
  afterEach(async () => {
    await stop?.();
    server?.kill('SIGKILL');
    store.closeAllConnections();
    store.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** KServe's entry of `models.json` (its package `modelconfig`). */
  const entry = (modelName: string) => {
    const storageUri = `http://127.0.0.1:${(store.address() as AddressInfo).port}/${modelName}/model.json`;
    return { modelName, modelSpec: { storageUri, framework: 'xgboost', memory: '1Mi' } };
  };

  let version = 0;
  /** As a kubelet does it: a new directory, and a link that is swapped. */
  const mount = async (names: readonly string[]) => {
    const data = `..${++version}`;
    await mkdir(path(`configs/${data}`));
    await writeFile(path(`configs/${data}/models.json`), JSON.stringify(names.map(entry)));
    await symlink(data, path('configs/..data_tmp'));
    await rename(path('configs/..data_tmp'), path('configs/..data'));
    if (version === 1) await symlink('..data/models.json', path('configs/models.json'));
  };

  const startServer = (port: number) => {
    const main = join(root, 'apps/model-server/src/main.ts');
    const args = [main, '--model-dir', path('models'), '--http-port', `${port}`];
    server = spawn(process.execPath, args, { stdio: 'ignore' });
  };

  /** Arguments in the webhook's order, and the one variable that it sets. Ports are the test's own. */
  const startAgent = async (port: number): Promise<Agent> => {
    const webhooks = ['--enable-puller', '--config-dir', path('configs'), '--model-dir', path('models')];
    const args = [...webhooks, '--component-port', `${port}`, '--port', '0', '--ops-port', '0'];
    const probe = JSON.stringify({ tcpSocket: { port }, timeoutSeconds: 1, successThreshold: 1 });
    const parsed = parseConfig({ SERVING_READINESS_PROBE: probe }, args);
    if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
    const agent = await buildAgent(parsed.config, {}, () => {});
    const stopping = new AbortController();
    const running = agent.run(stopping.signal);
    running.catch(() => {}); // seen by `stop`
    stop = async () => {
      stopping.abort(new Error('stopped'));
      await running;
    };
    return agent;
  };

  const probe = async ({ dataPort }: Agent) => {
    const headers = { 'user-agent': 'kube-probe/1.34', 'k-network-probe': 'queue' };
    const response = await fetch(`http://127.0.0.1:${dataPort}/`, { headers });
    return { status: response.status, text: await response.text() };
  };
  const predict = async ({ dataPort }: Agent, model: string) => {
    const { request } = JSON.parse(await readFile(example, 'utf8'));
    const url = `http://127.0.0.1:${dataPort}/v1/models/${model}:predict`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(request.v1) });
    return response.status;
  };

  it('loads a thousand models from the mount alone, tries again what failed, and is probed as KServe does', async () => {
    const names = Array.from({ length: many }, (_, index) => `model-${index}`);
    failures.set('/model-7/model.json', 2);
    await mount([...names, 'corrupt']);
    const port = await freePort();
    const starting = startAgent(port); // the containers of a pod start in any order
    startServer(port);
    const agent = await starting;
    const models = async () =>
      (await (await fetch(`http://127.0.0.1:${agent.opsPort}/models`)).json()) as { name: string; state: string }[];
    const loaded = async () => (await models()).filter(({ state }) => state === 'loaded').length;
    await until(async () => (await loaded()) === many, 60_000);

    expect(await probe(agent)).toEqual({ status: 200, text: 'queue' });
    expect(await predict(agent, 'model-0')).toBe(200);
    expect(await predict(agent, `model-${many - 1}`)).toBe(200);
    expect(await predict(agent, 'model-7')).toBe(200);
    expect(await predict(agent, 'corrupt')).toBe(503);

    await mount(names.slice(0, 2));
    await until(async () => (await loaded()) === 2, 60_000);

    expect(await predict(agent, 'model-1')).toBe(200);
    expect(await predict(agent, 'model-2')).toBe(404);
    // Nothing is left that the next image, ours or KServe's, would trip over.
    const onDisk = async () => (await readdir(path('models'))).filter((name) => name.startsWith('model-')).sort();
    await until(async () => (await onDisk()).length === 2, 60_000);
    expect(await onDisk()).toEqual(names.slice(0, 2));
    expect((await readdir(path('configs'))).filter((name) => !name.startsWith('..'))).toEqual(['models.json']);
  });

  it('is not ready while its server is away', async () => {
    await mount(['iris']);
    const port = await freePort();
    const starting = startAgent(port);
    startServer(port);
    const agent = await starting;
    await until(async () => (await probe(agent)).status === 200);
    server?.kill('SIGKILL');
    await until(async () => (await probe(agent)).status === 503);

    const asClient = await fetch(`http://127.0.0.1:${agent.dataPort}/`, { headers: { 'k-network-probe': 'queue' } });
    expect(asClient.status).toBe(404);
  });
});
