import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a scripted call does instead of succeeding. `hang` never answers; `reset` closes the connection. */
export type Script = { readonly status: number; readonly body?: string } | 'hang' | 'reset';

export type FakeModelServer = {
  readonly port: number;
  /** Names that it answers for, with how often each was loaded since it started. */
  readonly loaded: ReadonlyMap<string, number>;
  /** `POST /v2/repository/models/iris/load`, …, in the order of arrival. */
  readonly calls: readonly string[];
  /** The next calls to `method path` go by these scripts, one each. */
  script(call: string, ...scripts: readonly Script[]): void;
  /** How long each load takes, from now on. */
  loadMs: number;
  /** How long each prediction takes, from now on. */
  inferMs: number;
  /** Ends all connections and forgets all models, as a killed process does. */
  stop(): Promise<void>;
  /** Listens again on the same port, empty. */
  start(): Promise<void>;
};

/**
 * A model server of the V1 and V2 REST protocols with the repository extension that predicts by echoing the model's
 * name and generation. `load` succeeds for every name unless `canLoad` says why not (`undefined`: it can).
 */
export async function startFakeModelServer(
  canLoad: (model: string) => string | undefined = () => undefined,
): Promise<FakeModelServer> {
  const loaded = new Map<string, number>();
  const calls: string[] = [];
  const scripts = new Map<string, Script[]>();
  const server = createServer((request, response) => {
    request.resume();
    request.on('error', () => {});
    request.on('end', () => void answer(request, response));
  });

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const path = decodeURIComponent((request.url ?? '').split('?')[0] ?? '');
    const call = `${request.method} ${path}`;
    calls.push(call);
    const script = scripts.get(call)?.shift();
    if (script === 'hang') return;
    if (script === 'reset') return request.socket.resetAndDestroy();
    const { status, body } = script ?? (await reply(request.method ?? '', path));
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  }

  async function reply(method: string, path: string): Promise<{ status: number; body?: string }> {
    if (method === 'GET' && /^\/v2\/health\/(live|ready)$/.test(path)) return ok({ live: true, ready: true });
    if (method === 'GET' && path === '/v1/models') return ok({ models: [...loaded.keys()] });
    if (path === '/v2/repository/index') return ok([...loaded.keys()].map((name) => ({ name, state: 'READY' })));
    const [, model = '', verb = ''] =
      /^\/v2\/repository\/models\/([^/]+)\/(load|unload)$/.exec(path) ??
      /^\/v2\/models\/([^/]+)\/(infer|ready)$/.exec(path) ??
      /^\/v1\/models\/([^/:]+):(predict)$/.exec(path) ??
      [];
    if (verb === 'load') return await load(model);
    if (!loaded.has(model)) return { status: 404, body: JSON.stringify({ error: `model ${model} is not found` }) };
    if (verb === 'unload') loaded.delete(model);
    if (verb === 'infer' || verb === 'predict') await pause(fake.inferMs);
    return ok({ model_name: model, generation: loaded.get(model), outputs: [], predictions: [] });
  }

  async function load(model: string) {
    await pause(fake.loadMs);
    const problem = canLoad(model);
    if (problem !== undefined) return { status: 400, body: JSON.stringify({ error: problem }) };
    loaded.set(model, (loaded.get(model) ?? 0) + 1);
    return ok({});
  }

  let port = 0;
  const start = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        port = (server.address() as AddressInfo).port;
        resolve();
      });
    });

  const fake: FakeModelServer = {
    get port() {
      return port;
    },
    loaded,
    calls,
    script: (call, ...steps) => void scripts.set(call, [...(scripts.get(call) ?? []), ...steps]),
    loadMs: 0,
    inferMs: 0,
    start,
    stop: () =>
      new Promise((resolve) => {
        loaded.clear();
        if (!server.listening) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await start();
  return fake;
}

const ok = (body: unknown) => ({ status: 200, body: JSON.stringify(body) });
const pause = (ms: number) => (ms === 0 ? Promise.resolve() : new Promise<void>((resolve) => setTimeout(resolve, ms)));
