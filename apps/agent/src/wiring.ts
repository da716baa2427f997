import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { detectDialect, dialectFor, type Layout, type ModelServer, openModelServer } from '@roundhouse/dialects';
import { arrange } from './arrange.ts';
import type { Config } from './config.ts';
import { type Control, noControl } from './control.ts';
import { type DataPath, openDataPath } from './data-path.ts';
import { openModelDisk } from './disk.ts';
import { createDrain } from './drain.ts';
import { createFetch } from './fetch.ts';
import { createKeeper } from './keeper.ts';
import { createLife, type WriteLine } from './life.ts';
import { serveOps } from './ops.ts';
import { createPlainLog } from './plain-log.ts';
import { createServerWatch } from './server-watch.ts';
import { loadInSight } from './sight.ts';
import { followSources } from './sources.ts';
import { defaultLimits, type FetchModel } from './steps.ts';
import { createVolume } from './volume.ts';
import { isSocketPath, socketName } from './way.ts';

export type Agent = {
  readonly dataPort: number;
  readonly opsPort: number;
  /** Resolves when `signal` aborted, everything has drained and closed. */
  run(signal: AbortSignal): Promise<void>;
};

type Env = Readonly<Record<string, string | undefined>>;

/** Joins the parts of one agent. Both ports listen when this resolves; what was loaded answers a moment later. */
export async function buildAgent(config: Config, env: Env, write: WriteLine): Promise<Agent> {
  const clock = systemClock;
  const random = systemRandom;
  const log = createPlainLog({ clock, write });
  const { flags } = config;
  if (config.withoutEffect.length > 0) log.warn({ flags: config.withoutEffect }, 'flags without effect in this agent');

  const stop = new AbortController();
  const socketPath = flags['component-socket'] || config.env.ROUNDHOUSE_COMPONENT_SOCKET || undefined;
  const address = { port: flags['component-port'], socketPath };
  const { ROUNDHOUSE_DIALECT: told } = config.env;
  const dialect = dialectFor(told === 'auto' ? await detectDialect({ clock }, address, stop.signal) : told);
  const server = openModelServer({ clock }, dialect, address);
  const volume = createVolume(config.env.ROUNDHOUSE_MODEL_DISK_BYTES);
  const disk = openModelDisk(volume, flags['model-dir'], flags['state-dir'] || undefined);
  const secretsDir = config.env.ROUNDHOUSE_SECRETS_DIR;
  const fetch = createFetch({ clock, random }, { fileRoots: config.env.ROUNDHOUSE_FILE_ROOTS, secretsDir, env });
  let control: Control = noControl;

  const keeper = createKeeper(
    {
      ...{ clock, random, disk },
      server: { load: inSight(server, flags['model-dir']), unload: server.unload },
      fetchModel: arranged(fetch.fetchModel, dialect.layout),
      life: createLife({ clock, write }),
      onChange(entry) {
        control.changed(entry);
        data?.modelChanged(entry.name);
      },
      onGone(name) {
        control.gone(name);
        data?.modelChanged(name);
      },
      onDoubt: () => watch.doubt(),
    },
    defaultLimits,
    stop.signal,
  );
  const watch = createServerWatch({
    ...{ clock, server, address, keeper, log },
    onChecked(up) {
      control.serverReady(up);
      data?.serverChanged();
    },
  });
  const host = hostFor(flags.host, config.env.POD_IP);
  let data: DataPath | undefined;
  let isEnding = () => false;
  const isReady = () => keeper.serverUp && !isEnding();
  // Of a server that is only known to speak V2 we cannot say that it does not speak V1 as well.
  const protocols = dialect.name === 'v2' ? undefined : dialect.protocols;
  const { wantsContentType } = dialect;
  const dataDeps = {
    ...{ clock, random, keeper, keeps: flags['enable-puller'] },
    ...{ protocols, wantsContentType, isReady, isEnding: () => isEnding(), onDoubt: watch.doubt },
  };
  const place = { ...address, localSocket: localSocketFor(config, dialect.name) };
  data = await openDataPath(dataDeps, { host, port: flags.port }, place, flags['component-grpc-port']);
  const drain = createDrain({
    clock,
    inFlight: () => data?.inFlight ?? 0,
    onStart() {
      control.draining();
      data?.ending();
    },
  });
  isEnding = () => drain.started;
  const ops = await serveOps(
    {
      entries: keeper.entries,
      isReady,
      drain: () => drain.run(control.connected),
      gauges: () => ({
        ...data?.counters(),
        server_up: Number(keeper.serverUp),
        control_connected: Number(control.connected),
      }),
    },
    { host, port: flags['ops-port'] },
  );

  const dataPort = data.port;
  async function run(signal: AbortSignal) {
    const ended = new AbortController();
    // First what is here, then what the server has: that it has it means nothing for a model we do not know.
    if (flags['enable-puller']) keeper.adopt(await disk.adopt());
    const running = [watch.run(stop.signal)];
    let problem: unknown;
    if (flags['enable-puller']) {
      const dataAddress = () => addressText(config.env.POD_IP, dataPort);
      const onControl = (opened: Control) => {
        control = opened;
        control.serverReady(keeper.serverUp);
        for (const entry of keeper.entries()) control.changed(entry);
      };
      const deps = { clock, random, log, config, disk, keeper, dialect, dataAddress, onControl };
      const followed = followSources(deps, stop.signal).catch((error: unknown) => {
        problem = error;
        ended.abort(error);
      });
      running.push(followed);
    }
    await aborted(AbortSignal.any([signal, ended.signal]));
    log.info({}, 'stopping: requests in flight end first');
    await drain.run(control.connected);
    stop.abort(signal.reason);
    await Promise.allSettled([...running, keeper.close()]);
    await Promise.allSettled([data?.close(), ops.close(), server.close(), fetch.close()]);
    if (problem !== undefined) throw problem;
  }
  return { dataPort, opsPort: ops.port, run };
}

function inSight(server: ModelServer, modelDir: string): ModelServer['load'] {
  const file = server.dialect.readsAtEachLoad;
  return file === undefined ? server.load : loadInSight(server, modelDir, file);
}

/** Fetches, then makes of it what the model server takes. */
function arranged(fetchModel: FetchModel, layout: Layout | undefined): FetchModel {
  if (layout === undefined) return fetchModel;
  return async (model, place, onProgress, signal) => {
    const got = await fetchModel(model, place, onProgress, signal);
    await arrange(layout, model, place.directory);
    return got;
  };
}

/** The embedded server offers a socket in its directory of models. */
function localSocketFor({ flags }: Config, dialect: string): string | undefined {
  const path = join(flags['model-dir'], socketName);
  return dialect === 'embedded' && isSocketPath(path) ? path : undefined;
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Where to listen: as told, or on the kind of address that the pod has. A pod on loopback is not to be seen from outside. */
function hostFor(host: string, podIp: string): string {
  if (host !== '') return host;
  if (podIp.startsWith('127.')) return '127.0.0.1';
  return podIp.includes(':') ? '::' : '0.0.0.0';
}

const addressText = (host: string, port: number) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
