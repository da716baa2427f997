import { messageOf, systemClock, systemRandom } from '@roundhouse/base';
import { dialectFor, openModelServer } from '@roundhouse/dialects';
import type { Config } from './config.ts';
import { type Control, noControl } from './control.ts';
import { openModelDisk } from './disk.ts';
import { createDrain } from './drain.ts';
import { createFetch } from './fetch.ts';
import { createGate } from './gate.ts';
import { createKeeper, defaultLimits } from './keeper.ts';
import { createLife, type WriteLine } from './life.ts';
import { serveOps } from './ops.ts';
import { createPlainLog } from './plain-log.ts';
import { openDataPath } from './relay.ts';
import { createServerWatch } from './server-watch.ts';
import { followSources } from './sources.ts';

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
  const dialect = dialectFor(config.env.ROUNDHOUSE_DIALECT);
  const server = openModelServer({ clock }, dialect, address);
  const disk = openModelDisk(flags['model-dir']);
  const secretsDir = config.env.ROUNDHOUSE_SECRETS_DIR;
  const fetch = createFetch({ clock, random }, { fileRoots: config.env.ROUNDHOUSE_FILE_ROOTS, secretsDir, env });
  let control: Control = noControl;

  const keeper = createKeeper(
    {
      ...{ clock, random, disk, server },
      fetchModel: fetch.fetchModel,
      life: createLife({ clock, write }),
      onChange(entry) {
        control.changed(entry);
        gate.modelChanged(entry.name);
      },
      onGone(name) {
        control.gone(name);
        gate.modelChanged(name);
      },
      onDoubt: () => watch.doubt(),
    },
    defaultLimits,
    stop.signal,
  );
  const gate = createGate({ clock, keeper, keeps: flags['enable-puller'] });
  const watch = createServerWatch({
    ...{ clock, server, address, keeper, log },
    onHealth(up) {
      control.serverReady(up);
      gate.serverChanged();
      log.info({}, up ? 'the model server is up' : 'the model server is away');
    },
  });
  const host = hostFor(flags.host, config.env.POD_IP);
  const data = await openDataPath(
    { clock, gate, keeper, onDoubt: watch.doubt, onTraffic: (name, failed) => control.traffic(name, 1, failed ? 1 : 0) },
    { host, port: flags.port, upstream: address },
  );
  const drain = createDrain({ clock, inFlight: () => data.inFlight + gate.waiting, onStart: () => control.draining() });
  const ops = await serveOps(
    {
      entries: keeper.entries,
      isReady: () => keeper.serverUp && !drain.started,
      drain: () => drain.run(control.connected),
      gauges: () => ({
        ...data.counters(),
        requests_waiting: gate.waiting,
        server_up: Number(keeper.serverUp),
        control_connected: Number(control.connected),
      }),
    },
    { host, port: flags['ops-port'] },
  );

  return {
    dataPort: data.port,
    opsPort: ops.port,
    async run(signal) {
      const running = [watch.run(stop.signal)];
      if (flags['enable-puller']) {
        const dataAddress = () => addressText(config.env.POD_IP, data.port);
        const onControl = (opened: Control) => {
          control = opened;
          control.serverReady(keeper.serverUp);
          for (const entry of keeper.entries()) control.changed(entry);
        };
        const deps = { clock, random, log, config, disk, keeper, dialect, dataAddress, onControl };
        const followed = followSources(deps, stop.signal).catch((error: unknown) => {
          failure = error;
          log.error({ reason: messageOf(error) }, 'the agent cannot go on');
        });
        running.push(followed);
      }
      await aborted(signal);
      log.info({}, 'stopping: requests in flight end first');
      await drain.run(control.connected);
      stop.abort(signal.reason);
      await Promise.allSettled(running);
      await keeper.close();
      await data.close();
      await ops.close();
      await Promise.allSettled([server.close(), fetch.close()]);
    },
  };
}
