import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import {
  type AgentSession,
  type AssignedModelFields,
  type ControlServer,
  serveControl,
} from '@roundhouse/control-protocol';
import { type FakeModelServer, startFakeModelServer } from '@roundhouse/testkit';
import { createAuthority } from '../../../../packages/control-protocol/src/testing/certificates.ts';
import { type Config, parseConfig } from '../config.ts';
import { type Agent, buildAgent } from '../wiring.ts';

const serverName = 'roundhouse-control.roundhouse-system.svc';
const quiet = { info: () => {}, warn: () => {} };

export type RunningAgent = Agent & { readonly lines: string[]; stop(): Promise<void> };

/** One pod and a controller's end: real agent, real files, real sockets, a model server that can be killed. */
export async function createRig(canLoad?: (model: string) => string | undefined) {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'roundhouse-agent-')));
  const path = (name: string) => join(directory, name);
  for (const name of ['models', 'configs', 'store', 'secrets']) await mkdir(path(name));
  const authority = await createAuthority();
  const certificate = await authority.issue(serverName);
  await writeFile(path('ca.crt'), authority.ca);
  await writeFile(path('token'), 'token\n');
  const server = await startFakeModelServer(canLoad);
  const sessions: AgentSession[] = [];
  const closers: (() => Promise<unknown>)[] = [server.stop];
  let control: ControlServer | undefined;

  const rig = {
    server: server as FakeModelServer,
    /** Kind of model server that agents are told of. */
    dialect: 'embedded',
    /** Size limit of the models' volume; 0: none. */
    modelDiskBytes: 0,
    path,
    /** The newest stream. */
    get session(): AgentSession | undefined {
      return sessions.at(-1);
    },

    async startControl() {
      control = await serveControl(
        { clock: systemClock, log: quiet },
        {
          listen: { host: '127.0.0.1', port: control?.port ?? 0 },
          tls: () => certificate,
          epoch: 1,
          version: '0.1.0',
          heartbeatMs: 1_000, // a busy machine must not look like a peer that has gone silent
          authenticateAgent: async () => {},
          authenticateRouter: async () => {},
          onAgent: (session) => void sessions.push(session),
          onRouter: () => {},
        },
      );
      const started = control;
      closers.push(() => started.close());
      return started;
    },

    /** A model's files in the store, and what the controller would assign. */
    async aModel(name: string, content = 'weights'): Promise<AssignedModelFields> {
      await mkdir(path(`store/${name}-${content}`), { recursive: true });
      await writeFile(path(`store/${name}-${content}/model.onnx`), content);
      const storageUri = `file://${path(`store/${name}-${content}`)}`;
      return { name, storageUri, framework: 'onnx', memory: '1Mi', digest: `${name} ${content}` };
    },

    /** The configuration of an agent beside the fake server; later flags win. */
    config(...args: readonly string[]): Config {
      const flags = { port: 0, 'ops-port': 0, 'component-port': server.port, 'model-dir': path('models') };
      const parsed = parseConfig(
        {
          POD_IP: '127.0.0.1',
          ROUNDHOUSE_DIALECT: rig.dialect,
          INFERENCE_SERVICE_NAME: 'shop',
          ...(control !== undefined && { ROUNDHOUSE_CONTROL_ADDRESS: `127.0.0.1:${control.port}` }),
          ROUNDHOUSE_CONTROL_SERVER_NAME: serverName,
          ROUNDHOUSE_CA_FILE: path('ca.crt'),
          ROUNDHOUSE_TOKEN_FILE: path('token'),
          ROUNDHOUSE_MODEL_DISK_BYTES: String(rig.modelDiskBytes),
          ROUNDHOUSE_FILE_ROOTS: path('store'),
          ROUNDHOUSE_SECRETS_DIR: path('secrets'),
        },
        [
          ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
          ...['--enable-puller', '--config-dir', path('configs'), ...args],
        ],
      );
      if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
      return parsed.config;
    },

    async startAgent(...args: readonly string[]): Promise<RunningAgent> {
      const lines: string[] = [];
      const agent = await buildAgent(rig.config(...args), {}, (line) => void lines.push(line));
      const stopping = new AbortController();
      const running = agent.run(stopping.signal);
      running.catch(() => {}); // seen by whoever stops it
      const stop = async () => {
        stopping.abort(new Error('stopped'));
        await running;
      };
      closers.push(stop);
      return { ...agent, lines, stop };
    },

    async close() {
      for (const close of closers.splice(0).reverse()) await close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return rig;
}

export type Rig = Awaited<ReturnType<typeof createRig>>;

/** Waits for a condition, with a deadline; looked at every other millisecond. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const endMs = systemClock.monotonic() + timeoutMs;
  while (!(await condition())) {
    if (systemClock.monotonic() > endMs) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await systemClock.sleep(2, AbortSignal.timeout(timeoutMs));
  }
}
