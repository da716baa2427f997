import { type Clock, CodedError, messageOf, timestamp } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Container, ContainerState, ContainerStatus, Handler } from '../workloads/kinds.ts';
import type { EventType } from './events.ts';
import type { Command } from './images.ts';
import { probeOnce, watchHealth } from './probe.ts';
import type { Process } from './processes.ts';

export type ContainerDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** What to run now; asked before each start, since configuration may have changed. */
  command(): Promise<Command>;
  spawn(command: Command): Promise<Process>;
  record(process: Process, instance: number): void;
  portOf(port: number | string): number;
  event(type: EventType, reason: string, message: string): void;
  onChange(): void;
};

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';
export type Outcome = 'succeeded' | 'failed' | 'stopped';

export type ContainerRun = {
  readonly status: ContainerStatus;
  /** Resolves when it has passed its startup probe, or will not any more. */
  readonly started: Promise<void>;
  /** Resolves when it will not be started again. */
  readonly finished: Promise<Outcome>;
  /** preStop, SIGTERM, and SIGKILL `graceMs` from now. A second call can only shorten the time. */
  stop(graceMs: number, options?: { readonly withPreStop: boolean }): Promise<void>;
};

const backoffMsFirst = 1000;
const backoffMsMax = 30_000;
/** Who ran this long did not crash for the reason of the start before: a laptop's user should not wait as for a broken image. */
const healthyMs = 10_000;
/** How often a container that cannot be started for its configuration is tried again. */
const configRetryMs = 250;

/** Runs a container as a process and restarts it as `restart` says: at once the first time, then with a growing delay. */
export function runContainer(
  deps: ContainerDeps,
  container: Container,
  options: { readonly restart: RestartPolicy; readonly graceMs: number; readonly before: ContainerStatus | undefined },
): ContainerRun {
  const { clock } = deps;
  const { name, image } = container;
  const stopping = new AbortController();
  const started = Promise.withResolvers<void>();
  let status: ContainerStatus = firstStatus(container, options.before, timestamp(clock.now()));
  let current: { end(graceMs: number, withPreStop: boolean): void } | undefined;

  const set = (change: Partial<ContainerStatus>) => {
    status = { ...status, ...change };
    if (status.started) started.resolve();
    deps.onChange();
  };
  const wait = (reason: string, message?: string) =>
    set({ state: { waiting: { reason, ...(message !== undefined && { message }) } }, ready: false, started: false });

  /** One process from start to end; resolves to its exit code, or to undefined if it could not be started. */
  const runOnce = async (): Promise<number | undefined> => {
    let process: Process;
    try {
      const command = await deps.command();
      if (stopping.signal.aborted) return undefined;
      process = await deps.spawn(command);
    } catch (error) {
      const message = messageOf(error);
      const reason = waitingReasonFor(error);
      if (status.state.waiting?.message !== message) deps.event('Warning', 'Failed', message);
      wait(reason, message);
      return undefined;
    }
    deps.record(process, status.restartCount);
    const startedAt = timestamp(clock.now());
    const life = new AbortController();
    current = {
      end: (graceMs, withPreStop) => endProcess(deps, container, process, graceMs, withPreStop, life.signal),
    };
    set({ containerID: `process://${process.pid}`, state: { running: { startedAt } }, ready: false, started: false });
    deps.event('Normal', 'Started', `Started container ${name}`);
    if (stopping.signal.aborted) current.end(0, false);
    watchHealth(
      healthDeps(deps, name, set, () => current?.end(options.graceMs, true)),
      container,
      life.signal,
    ).catch((error) => deps.log.error({ err: error, container: name }, 'probing failed'));
    const exitCode = await process.exited;
    life.abort(new Error('the process has ended'));
    current = undefined;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    const finishedAt = timestamp(clock.now());
    set({ state: { terminated: { exitCode, reason, startedAt, finishedAt } }, ready: false, started: false });
    return exitCode;
  };

  const run = async (): Promise<Outcome> => {
    for (let failures = 0; ; ) {
      const since = clock.monotonic();
      const exitCode = await runOnce();
      if (stopping.signal.aborted) return 'stopped';
      if (exitCode === undefined) {
        await clock.sleep(configRetryMs, stopping.signal);
        continue;
      }
      if (options.restart === 'Never' || (options.restart === 'OnFailure' && exitCode === 0)) {
        return exitCode === 0 ? 'succeeded' : 'failed';
      }
      if (clock.monotonic() - since >= healthyMs) failures = 0;
      const delayMs = failures === 0 ? 0 : Math.min(backoffMsMax, backoffMsFirst * 2 ** (failures - 1));
      failures++;
      set({ lastState: status.state });
      if (delayMs > 0) {
        const message = `back-off ${delayMs / 1000}s restarting failed container=${name}`;
        wait('CrashLoopBackOff', message);
        deps.event('Warning', 'BackOff', message);
        await clock.sleep(delayMs, stopping.signal);
      }
      set({ restartCount: status.restartCount + 1 });
    }
  };

  const finished = run().catch((error): Outcome => {
    if (!stopping.signal.aborted) deps.log.error({ err: error, container: name, image }, 'container gave up');
    return stopping.signal.aborted ? 'stopped' : 'failed';
  });
  finished.then(() => started.resolve()).catch(() => {});

  return {
    get status() {
      return status;
    },
    started: started.promise,
    finished,
    async stop(graceMs, { withPreStop } = { withPreStop: true }) {
      const first = !stopping.signal.aborted;
      stopping.abort(new Error('the pod stops'));
      if (current !== undefined) {
        if (first) deps.event('Normal', 'Killing', `Stopping container ${name}`);
        current.end(graceMs, withPreStop && first);
      }
      await finished;
    },
  };
}

function firstStatus({ name, image }: Container, before: ContainerStatus | undefined, now: string): ContainerStatus {
  const waiting: ContainerState = { waiting: { reason: 'ContainerCreating' } };
  const base = { name, image, imageID: image, ready: false, started: false, state: waiting };
  const ran = before?.state.running;
  if (before === undefined) return { ...base, restartCount: 0, lastState: {} };
  // It ran when the cluster was stopped, so this is a restart.
  const terminated = { exitCode: 143, reason: 'ClusterStopped', startedAt: ran?.startedAt ?? now, finishedAt: now };
  return { ...base, restartCount: before.restartCount + 1, lastState: ran ? { terminated } : before.lastState };
}

function healthDeps(
  deps: ContainerDeps,
  name: string,
  set: (change: Partial<ContainerStatus>) => void,
  end: () => void,
) {
  return {
    clock: deps.clock,
    portOf: deps.portOf,
    onChange: set,
    onFailure: (kind: string, message: string) =>
      deps.event('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
    onDead(kind: string) {
      deps.event('Normal', 'Killing', `Container ${name} failed ${kind} probe, will be restarted`);
      end();
    },
  };
}

function waitingReasonFor(error: unknown): string {
  if (!(error instanceof CodedError)) return 'CreateContainerError';
  return error.code === 'cluster/image' ? 'ErrImagePull' : 'CreateContainerConfigError';
}

/** Asks a process to end and makes it end when the time is up. */
function endProcess(
  deps: ContainerDeps,
  { name, lifecycle }: Container,
  process: Process,
  graceMs: number,
  withPreStop: boolean,
  life: AbortSignal,
): void {
  const cancel = deps.clock.after(graceMs, process.kill);
  life.addEventListener('abort', cancel, { once: true });
  const hook = lifecycle?.preStop;
  if (graceMs === 0) process.kill();
  else if (!withPreStop || hook === undefined) process.terminate();
  else endAfterHook(deps, name, hook, process, graceMs, life);
}

function endAfterHook(
  { portOf, log }: ContainerDeps,
  container: string,
  hook: Handler,
  process: Process,
  graceMs: number,
  life: AbortSignal,
): void {
  probeOnce(hook, graceMs, portOf, life)
    .then((problem) => {
      if (life.aborted) return;
      if (problem !== undefined) log.warn({ container, problem }, 'the preStop hook failed');
      process.terminate();
    })
    .catch(() => process.terminate());
}
