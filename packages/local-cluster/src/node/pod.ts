import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Clock, CodedError, messageOf, timestamp } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Container, ContainerStatus } from 'kubernetes-types/core/v1.js';
import type { Api, TokenIssuer } from '../api.ts';
import { kubeconfigFor } from '../kubeconfig.ts';
import {
  type Pod,
  type PodPorts,
  pods,
  portsAnnotation,
  portsOf,
  resolvePort,
  serviceAccounts,
} from '../workloads/kinds.ts';
import { type ContainerRun, runContainer } from './container.ts';
import { environmentFor } from './environment.ts';
import { type EventType, recordEvent } from './events.ts';
import { commandFor, type Images } from './images.ts';
import type { LogFiles } from './log-files.ts';
import { type PodProblem, podStatusFor } from './pod-status.ts';
import type { Ports } from './ports.ts';
import type { Processes } from './processes.ts';
import { linkMounts, mountsOf, openVolumes } from './volumes.ts';

export type PodDeps = {
  readonly api: Api;
  readonly tokens: TokenIssuer;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Log;
  /** Where containers reach the API server, and the certificate to trust. */
  readonly apiAddress: { readonly url: string; readonly ca: string };
  readonly ports: Ports;
  readonly processes: Processes;
  readonly logs: LogFiles;
  serviceAddress(namespace: string, service: string, port: number): Promise<string>;
};

export type PodRun = {
  /** Takes the pod's new labels and annotations. */
  update(pod: Pod): void;
  /** A ConfigMap or Secret of the pod's namespace changed. */
  sourceChanged(): void;
  /** Ends the containers and removes all that the pod had, its object included. */
  terminate(graceMs: number): Promise<void>;
  /** Ends the containers and leaves the pod's object and files as they are: it goes on at the next start. */
  halt(graceMs: number): Promise<void>;
};

/** How often what keeps a pod from starting is looked at again; changed ConfigMaps and Secrets are noticed at once. */
const prepareRetryMs = 500;
const renewRetryMs = 10_000;
/** Of a pod's kubeconfig: as long as any pod lives. Its token is no longer accepted when the pod is gone. */
const expirationSeconds = 10 * 365 * 24 * 3600;

/** Runs one pod from its ports and volumes to its end. `directory` is its own. */
export function runPod(deps: PodDeps, first: Pod, directory: string): PodRun {
  const { api, clock, tokens } = deps;
  const { namespace = '', name, uid = '' } = first.metadata;
  const { containers, serviceAccountName, terminationGracePeriodSeconds = 30 } = first.spec;
  const log = deps.log.child({ pod: `${namespace}/${name}` });
  const runs = new Map<string, ContainerRun>();
  const stopping = new AbortController();
  const volumesDirectory = join(directory, 'volumes');
  const kubeconfig = join(directory, 'kubeconfig');
  const volumes = openVolumes(deps, volumesDirectory);
  let pod = first;
  let ports: PodPorts = {};
  let isPrepared = false;
  let problem: PodProblem | undefined;
  let isHalted = false;
  let isPublishing = false;
  let wake = Promise.withResolvers<void>();
  let cancelRenewal: (() => void) | undefined;

  const event = (type: EventType, reason: string, message: string) => {
    if (!isHalted) recordEvent(deps, pod, { type, reason, message });
  };
  /** The pod as it is stored; undefined when it is gone, or is another one of its name. */
  const stored = () => {
    const found = api.get(pods, namespace, name) as Pod | undefined;
    return found?.metadata.uid === uid ? found : undefined;
  };

  const publish = () => {
    if (isPublishing) return;
    isPublishing = true;
    queueMicrotask(() => {
      isPublishing = false;
      const current = stored();
      if (isHalted || current === undefined) return;
      const statuses = containers.map(
        (container) => runs.get(container.name)?.status ?? statusBefore(first, container),
      );
      const status = { ...current.status, ...podStatusFor(current, { isPrepared, problem }, statuses, clock.now()) };
      if (!isDeepStrictEqual(current.status, status)) pod = api.update(pods, { ...current, status }, 'status') as Pod;
    });
  };

  const claimPorts = async () => {
    ports = await deps.ports.claim(uid, first.spec, portsOf(pod));
    const current = stored();
    if (current === undefined || stopping.signal.aborted) return;
    const annotations = { ...current.metadata.annotations, [portsAnnotation]: JSON.stringify(ports) };
    pod = api.update(pods, { ...current, metadata: { ...current.metadata, annotations } }) as Pod;
  };

  const writeKubeconfig = () => {
    if (serviceAccountName === undefined) return;
    if (api.get(serviceAccounts, namespace, serviceAccountName) === undefined) {
      throw new CodedError('cluster/config', `serviceaccount "${serviceAccountName}" not found`);
    }
    const account = { namespace, serviceAccount: serviceAccountName, audiences: [], pod: { name, uid } };
    const token = tokens.issue({ ...account, expirationSeconds });
    writeFileSync(kubeconfig, kubeconfigFor({ ...deps.apiAddress, token }), { mode: 0o600 });
    chmodSync(kubeconfig, 0o600);
  };

  const refreshVolumes = () => {
    volumes.refresh(pod);
    cancelRenewal?.();
    const renewInMs = volumes.renewAtMs - clock.monotonic();
    if (Number.isFinite(renewInMs)) cancelRenewal = clock.after(renewInMs, refreshQuietly);
  };
  const refreshQuietly = () => {
    if (stopping.signal.aborted || !isPrepared) return;
    try {
      refreshVolumes();
    } catch (error) {
      // What is there stays, as with a kubelet: a ConfigMap that is replaced is missing for a moment.
      event('Warning', 'FailedMount', messageOf(error));
      cancelRenewal = clock.after(renewRetryMs, refreshQuietly);
    }
  };

  /** Claims ports, fills volumes; again until both are done. */
  const prepare = async () => {
    mkdirSync(volumesDirectory, { recursive: true, mode: 0o700 });
    while (!isPrepared) {
      try {
        await claimPorts();
        writeKubeconfig();
        refreshVolumes();
        isPrepared = true;
        problem = undefined;
      } catch (error) {
        const message = messageOf(error);
        const isPort = error instanceof CodedError && error.code === 'cluster/host-port';
        const reason = isPort ? 'HostPortTaken' : 'FailedMount';
        if (problem?.message !== message) event('Warning', reason, message);
        problem = { reason, message };
        publish();
        await Promise.race([clock.sleep(prepareRetryMs, stopping.signal), wake.promise]);
        wake = Promise.withResolvers();
      }
    }
  };

  const portOf = (port: number | string) => {
    const found = resolvePort(first.spec, ports, port);
    if (found !== undefined) return found;
    throw new CodedError('cluster/container', `no container of the pod declares port ${port}`);
  };

  const start = (container: Container) => {
    const containerDeps = {
      clock,
      log,
      graceMs: terminationGracePeriodSeconds * 1000,
      command: async () => {
        const env = await environmentFor(deps, pod, container);
        if (serviceAccountName !== undefined) env.KUBECONFIG ??= kubeconfig;
        const mounts = mountsOf(container, volumesDirectory);
        const root = join(directory, 'roots', container.name);
        linkMounts(mounts, root);
        return commandFor(deps.images, pod, container, { env, ports, mounts, root });
      },
      spawn: (command: Parameters<Processes['spawn']>[0]) => deps.processes.spawn(command, directory),
      record: ({ stdout, stderr }: Awaited<ReturnType<Processes['spawn']>>, instance: number) =>
        deps.logs.record({ uid, container: container.name }, instance, [stdout, stderr]),
      portOf,
      event,
      onChange: publish,
    };
    const restarted = restartedStatus(statusBefore(first, container), timestamp(clock.now()));
    runs.set(container.name, runContainer(containerDeps, container, restarted));
  };

  const started = (async () => {
    publish();
    await prepare();
    stopping.signal.throwIfAborted();
    for (const container of containers) start(container);
    publish();
  })().catch((error) => {
    if (!stopping.signal.aborted) log.error({ err: error }, `the pod cannot go on: ${messageOf(error)}`);
  });

  const stop = async (withinMs: number, withPreStop: boolean) => {
    stopping.abort(new Error('the pod stops'));
    cancelRenewal?.();
    await started;
    await Promise.all([...runs.values()].map((run) => run.stop(withinMs, { withPreStop })));
  };

  return {
    update(changed) {
      pod = changed;
    },
    sourceChanged() {
      wake.resolve();
      refreshQuietly();
    },
    async terminate(withinMs) {
      await stop(withinMs, true);
      isHalted = true;
      if (stored() !== undefined) api.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
      deps.ports.release(uid);
      deps.logs.remove(uid);
      rmSync(directory, { recursive: true, force: true });
    },
    async halt(withinMs) {
      isHalted = true;
      await stop(withinMs, false);
    },
  };
}

/** What is known of a container that has not been started in this run of the node. */
function statusBefore({ status }: Pod, { name, image = '' }: Container): ContainerStatus {
  const before = status?.containerStatuses?.find((one) => one.name === name);
  return (
    before ?? {
      name,
      image,
      imageID: image,
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: { reason: 'ContainerCreating' } },
      lastState: {},
    }
  );
}

/** One that ran, or had ended, when the cluster was stopped is restarted now. */
function restartedStatus(before: ContainerStatus, now: string): ContainerStatus {
  const { running, waiting } = before.state ?? {};
  if (waiting?.reason === 'ContainerCreating') return before;
  const terminated = { exitCode: 143, reason: 'ClusterStopped', startedAt: running?.startedAt ?? now, finishedAt: now };
  return {
    ...before,
    ready: false,
    started: false,
    restartCount: before.restartCount + 1,
    state: { waiting: { reason: 'ContainerCreating' } },
    lastState: running ? { terminated } : (before.lastState ?? {}),
  };
}
