import { type Clock, CodedError, messageOf, timestamp } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Container, ContainerStatus, LifecycleHandler } from 'kubernetes-types/core/v1.js';
import type { EventType } from './events.ts';
import type { Command } from './images.ts';
import { probeOnce, watchHealth } from './probe.ts';
import type { Process } from './processes.ts';

export type ContainerDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** How long the container may take to end. */
  readonly graceMs: number;
  /** What to run now; asked before each start, since configuration may have changed. */
  command(): Promise<Command>;
  spawn(command: Command): Promise<Process>;
  record(process: Process, instance: number): void;
  portOf(port: number | string): number;
  event(type: EventType, reason: string, message: string): void;
  onChange(): void;
};

export type ContainerRun = {
  readonly status: ContainerStatus;
  /** preStop, SIGTERM, and SIGKILL `graceMs` from now. A second call can only shorten the time. */
  stop(graceMs: number, options?: { readonly withPreStop: boolean }): Promise<void>;
};

const backoffMsFirst = 1000;
const backoffMsMax = 30_000;
/** Who ran this long did not crash for the reason of the start before: a laptop's user should not wait as for a broken image. */
const healthyMs = 10_000;
/** How often a container that cannot be started for its configuration is tried again. */
const configRetryMs = 250;

/** Runs a container as a process and restarts it whenever it ends: at once the first time, then with a growing delay. */
export function runContainer(deps: ContainerDeps, container: Container, first: ContainerStatus): ContainerRun {
  const { clock, log } = deps;
  const { name } = container;
  const stopping = new AbortController();
  let status = first;
  let current: { end(graceMs: number, withPreStop: boolean): void } | undefined;

  const set = (change: Partial<ContainerStatus>) => {
    status = { ...status, ...change };
    deps.onChange();
  };
  const rest = (state: ContainerStatus['state'] & object) => set({ state, ready: false, started: false });

  /** What is to run; undefined, with the reason in the status, while that cannot be said or started. */
  const start = async (): Promise<Process | undefined> => {
    try {
      const command = await deps.command();
      return stopping.signal.aborted ? undefined : await deps.spawn(command);
    } catch (error) {
      const message = messageOf(error);
      if (status.state?.waiting?.message !== message) deps.event('Warning', 'Failed', message);
      rest({ waiting: { reason: waitingReasonFor(error), message } });
      return undefined;
    }
  };

  /** One process from its start to its end. */
  const follow = async (process: Process): Promise<void> => {
    deps.record(process, status.restartCount);
    const startedAt = timestamp(clock.now());
    const life = new AbortController();
    const end = (graceMs: number, withPreStop: boolean) =>
      endProcess(deps, container, process, { graceMs, withPreStop, life: life.signal });
    current = { end };
    rest({ running: { startedAt } });
    set({ containerID: `process://${process.pid}` });
    deps.event('Normal', 'Started', `Started container ${name}`);
    if (stopping.signal.aborted) end(0, false);
    watchHealth(container, life.signal, {
      clock,
      portOf: deps.portOf,
      onChange: (ready) => set({ ready, started: true }),
      onFailure: (kind, message) => deps.event('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
      onDead() {
        deps.event('Normal', 'Killing', `Container ${name} failed liveness probe, will be restarted`);
        end(deps.graceMs, true);
      },
    }).catch((error) => log.error({ err: error, container: name }, 'probing failed'));
    const exitCode = await process.exited;
    life.abort(new Error('the process has ended'));
    current = undefined;
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    rest({ terminated: { exitCode, reason, startedAt, finishedAt: timestamp(clock.now()) } });
  };

  const run = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const since = clock.monotonic();
      const process = await start();
      if (process === undefined) {
        await clock.sleep(configRetryMs, stopping.signal);
        continue;
      }
      await follow(process);
      if (stopping.signal.aborted) return;
      if (clock.monotonic() - since >= healthyMs) failures = 0;
      const delayMs = failures === 0 ? 0 : Math.min(backoffMsMax, backoffMsFirst * 2 ** (failures - 1));
      failures++;
      set({ lastState: status.state ?? {} });
      if (delayMs > 0) {
        const message = `back-off ${delayMs / 1000}s restarting failed container=${name}`;
        rest({ waiting: { reason: 'CrashLoopBackOff', message } });
        deps.event('Warning', 'BackOff', message);
        await clock.sleep(delayMs, stopping.signal);
      }
      set({ restartCount: status.restartCount + 1 });
    }
  };
  const finished = run().catch((error) => {
    if (!stopping.signal.aborted) log.error({ err: error, container: name }, 'container gave up');
  });

  return {
    get status() {
      return status;
    },
    async stop(graceMs, { withPreStop } = { withPreStop: true }) {
      const isFirst = !stopping.signal.aborted;
      stopping.abort(new Error('the pod stops'));
      if (current !== undefined && isFirst) deps.event('Normal', 'Killing', `Stopping container ${name}`);
      current?.end(graceMs, withPreStop && isFirst);
      await finished;
    },
  };
}

function waitingReasonFor(error: unknown): string {
  if (!(error instanceof CodedError)) return 'CreateContainerError';
  return error.code === 'cluster/image' ? 'ErrImagePull' : 'CreateContainerConfigError';
}

type End = { readonly graceMs: number; readonly withPreStop: boolean; readonly life: AbortSignal };

/** Asks a process to end, its preStop hook first, and makes it end when the time is up. */
function endProcess(deps: ContainerDeps, { name, lifecycle }: Container, process: Process, end: End): void {
  const { graceMs, withPreStop, life } = end;
  const hook = lifecycle?.preStop;
  const cancel = deps.clock.after(graceMs, process.kill);
  life.addEventListener('abort', cancel, { once: true });
  if (graceMs === 0) process.kill();
  else if (!withPreStop || hook === undefined) process.terminate();
  else endAfterHook(deps, name, hook, process, end);
}

function endAfterHook(deps: ContainerDeps, name: string, hook: LifecycleHandler, process: Process, end: End): void {
  const { graceMs, life } = end;
  probeOnce(hook, graceMs, deps.portOf, life)
    .then((problem) => {
      if (life.aborted) return;
      if (problem !== undefined) deps.log.warn({ container: name, problem }, 'the preStop hook failed');
      process.terminate();
    })
    .catch(process.terminate);
}
