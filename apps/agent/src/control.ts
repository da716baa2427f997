import { readFile } from 'node:fs/promises';
import type { Clock, Random } from '@roundhouse/base';
import type { AgentStream, wire } from '@roundhouse/control-protocol';
import type { Dialect } from '@roundhouse/dialects';
import type { Log } from '@roundhouse/telemetry';
import { type Config, version } from './config.ts';
import type { AssignmentChange } from './desired.ts';
import type { Entry } from './entry.ts';
import type { Keeper } from './keeper.ts';
import type { WantedModel } from './model.ts';

/** What the agent tells the controller; nothing at all where there is no control stream. */
export type Control = {
  readonly connected: boolean;
  changed(entry: Readonly<Entry>): void;
  gone(name: string): void;
  serverReady(ready: boolean): void;
  draining(): void;
  run(signal: AbortSignal): Promise<void>;
};

export const noControl: Control = {
  connected: false,
  changed: () => {},
  gone: () => {},
  serverReady: () => {},
  draining: () => {},
  run: async () => {},
};

export type ControlDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly dialect: Dialect;
  /** host:port of the data path, once it listens. */
  readonly dataAddress: () => string;
  readonly keeper: Pick<Keeper, 'takeTraffic'>;
  readonly onAssignment: (change: AssignmentChange) => void;
};

/** Opens the control stream; the gRPC library is loaded only here. */
export async function openControl(deps: ControlDeps, { env }: Config): Promise<Control> {
  const { clock, random, log, dialect, dataAddress, keeper, onAssignment } = deps;
  const [{ attachAgent }, { reportOf }] = await Promise.all([
    import('@roundhouse/control-protocol'),
    import('./reports.ts'),
  ]);
  const instance = `${env.POD_UID}-${clock.now().toString(36)}`;
  const wanted = new Map<string, WantedModel>();
  const stream: AgentStream = attachAgent(
    { clock, random, log },
    {
      connection: {
        address: env.ROUNDHOUSE_CONTROL_ADDRESS,
        serverName: env.ROUNDHOUSE_CONTROL_SERVER_NAME || env.ROUNDHOUSE_CONTROL_ADDRESS.replace(/:\d+$/, ''),
        ca: () => readFile(env.ROUNDHOUSE_CA_FILE, 'utf8'),
        token: async () => (await readFile(env.ROUNDHOUSE_TOKEN_FILE, 'utf8')).trim(),
      },
      hello: () => ({
        version,
        instance,
        namespace: env.POD_NAMESPACE,
        service: env.INFERENCE_SERVICE_NAME,
        podName: env.POD_NAME,
        podUid: env.POD_UID,
        dataAddress: dataAddress(),
        memoryBytes: BigInt(env.ROUNDHOUSE_MODEL_MEMORY_BYTES),
        dialect: { name: dialect.name, ...dialect.protocols, index: dialect.listing !== undefined },
        zone: env.ROUNDHOUSE_ZONE,
      }),
      traffic: keeper.takeTraffic,
      onAssignment({ models, changed, removed }) {
        for (const name of changed) {
          const model = models.get(name);
          if (model !== undefined) wanted.set(name, wantedFrom(model));
        }
        for (const name of removed) wanted.delete(name);
        onAssignment({ models: wanted, changed, removed });
      },
    },
  );
  return {
    get connected() {
      return stream.connected;
    },
    changed: (entry) => stream.report([reportOf(entry)], []),
    gone: (name) => stream.report([], [name]),
    serverReady: stream.serverReady,
    draining: stream.draining,
    run: stream.run,
  };
}

function wantedFrom({ name, storageUri, framework, memory, sha256, secret, digest }: wire.AssignedModel): WantedModel {
  return { name, storageUri, framework, memory, digest, sha256: sha256 || undefined, secret: secret || undefined };
}
