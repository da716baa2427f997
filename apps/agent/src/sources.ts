import { readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, messageOf, type Random } from '@roundhouse/base';
import type { Dialect } from '@roundhouse/dialects';
import type { Log } from '@roundhouse/telemetry';
import type { Config } from './config.ts';
import { type Control, openControl } from './control.ts';
import { type AssignmentChange, createDesired } from './desired.ts';
import type { ModelDisk } from './disk.ts';
import type { Keeper } from './keeper.ts';
import { openMounted } from './mounted.ts';

/** How often the sources are asked what no event tells: whether the stream still stands, whether Secrets were renewed. */
const lookMs = 1_000;
/** A burst of changes of the assignment is written once; what a crash loses, the stream says again. */
const saveMs = 200;

export type SourcesDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: Config;
  readonly disk: ModelDisk;
  readonly keeper: Keeper;
  readonly dialect: Dialect;
  /** host:port where routers reach this replica. */
  readonly dataAddress: () => string;
  readonly onControl: (control: Control) => void;
};

/** Keeps the keeper told what this replica should hold. Ends with `signal`. */
export async function followSources(deps: SourcesDeps, signal: AbortSignal): Promise<void> {
  const { clock, log, config, disk, keeper } = deps;
  const { flags, env } = config;
  const usesControl = flags.control && env.ROUNDHOUSE_CONTROL_ADDRESS !== '';
  let save = () => {};
  const policy = { control: usesControl, placement: env.ROUNDHOUSE_PLACEMENT };

  let onMount = () => {};
  const mounted = await openMounted({ clock, log, onChange: () => onMount() }, flags['config-dir']);
  const last = usesControl ? await disk.loadAssignment() : undefined;
  const desired = createDesired({ clock, mounted: () => mounted.models, want: keeper.want }, policy, last);
  onMount = desired.choose;
  desired.choose();

  const onAssignment = (change: AssignmentChange) => {
    desired.assigned(change);
    save();
  };
  const control = usesControl ? await openControl({ ...deps, onAssignment }, config) : undefined;
  if (control !== undefined) {
    save = createSaver(deps, () => desired.lastAssigned?.values() ?? [], signal);
    deps.onControl(control);
  }
  let secretsBefore = await secretsState(env.ROUNDHOUSE_SECRETS_DIR);

  const look = async () => {
    while (!signal.aborted) {
      await clock.sleep(lookMs, signal).catch(() => {});
      if (control?.connected !== true) desired.disconnected();
      desired.choose();
      const secrets = await secretsState(env.ROUNDHOUSE_SECRETS_DIR);
      if (secrets !== secretsBefore) keeper.credentialsChanged();
      secretsBefore = secrets;
    }
  };
  await Promise.all([look(), mounted.run(signal), control?.run(signal)]);
}

/** Calls of the returned function write the assignment soon, once for many. */
function createSaver(
  { clock, disk, log }: SourcesDeps,
  models: () => Parameters<ModelDisk['saveAssignment']>[0],
  signal: AbortSignal,
): () => void {
  let due = false;
  const write = async () => {
    await clock.sleep(saveMs, signal);
    due = false;
    await disk.saveAssignment(models());
  };
  return () => {
    if (due) return;
    due = true;
    write().catch((error: unknown) => {
      if (!signal.aborted) log.warn({ reason: messageOf(error) }, 'the assignment could not be written down');
    });
  };
}

/** Changes whenever the kubelet renews a mounted Secret: it swaps the `..data` link. */
async function secretsState(directory: string): Promise<string> {
  const names = await readdir(directory).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(join(directory, name, '..data')).catch(() => '')));
  return JSON.stringify([names, links]);
}
