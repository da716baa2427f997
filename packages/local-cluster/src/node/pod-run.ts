import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Clock, CodedError, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api, TokenIssuer } from '../api.ts';
import {
  type Container,
  type ContainerStatus,
  type Pod,
  type PodPorts,
  pods,
  portsAnnotation,
  portsOf,
  resolvePort,
  serviceAccounts,
} from '../workloads/kinds.ts';
import { type ContainerRun, type Outcome, type RestartPolicy, runContainer } from './container.ts';
import { environmentFor, podIp } from './environment.ts';
import { type EventType, recordEvent } from './events.ts';
import { commandFor, type Images } from './images.ts';
import type { LogFiles } from './log-files.ts';
import { type ApiAddress, kubeconfigOf } from './pod-kubeconfig.ts';
import { podStatusFor } from './pod-status.ts';
import type { Ports } from './ports.ts';
import type { Processes } from './processes.ts';
import { linkMounts, mountsOf, openVolumes, volumeSourcesOf } from './volumes.ts';

export type PodDeps = {
  readonly api: Api;
  readonly tokens: TokenIssuer;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Log;
  readonly apiAddress: ApiAddress;
  readonly ports: Ports;
  readonly processes: Processes;
  readonly logs: LogFiles;
  serviceAddress(namespace: string, service: string, port: number): Promise<string>;
};

export type PodRun = {
  /** Takes the pod's new labels and annotations. */
  update(pod: Pod): void;
  /** A ConfigMap or Secret of the pod's namespace changed, named as `configmaps/name`. */
  sourceChanged(name: string): void;
  /** Ends the containers, the sidecars last, and removes all that the pod had, its object included. */
  terminate(graceMs: number): Promise<void>;
  /** Ends the containers and leaves the pod's object and files as they are: it goes on at the next start. */
  halt(graceMs: number): Promise<void>;
};

const defaultGraceSeconds = 30;
/** How often what keeps a pod from starting is looked at again; changed ConfigMaps and Secrets are noticed at once. */
const prepareRetryMs = 500;
const renewRetryMs = 10_000;

/** Runs one pod from its ports and volumes to its end. `directory` is its own. */
export function runPod(deps: PodDeps, first: Pod, directory: string): PodRun {
  const { api, clock } = deps;
  const { namespace = '', name, uid = '' } = first.metadata;
  const log = deps.log.child({ pod: `${namespace}/${name}` });
  const runs = new Map<string, ContainerRun>();
  const stopping = new AbortController();
  const volumesDirectory = join(directory, 'volumes');
  const volumes = openVolumes(deps, volumesDirectory);
  const sources = volumeSourcesOf(first);
  const graceMs = (first.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
  let pod = first;
  let ports: PodPorts = {};
  let facts: { prepared: boolean; initialized: boolean; problem?: { reason: string; message: string } } = {
    prepared: false,
    initialized: false,
  };
  let outcome: 'Succeeded' | 'Failed' | undefined;
  let halted = false;
  let publishing = false;
  let wake = Promise.withResolvers<void>();
  let cancelRenewal: (() => void) | undefined;

  const event = (type: EventType, reason: string, message: string) => {
    if (!halted) recordEvent(deps, pod, { type, reason, message });
  };

  const publish = () => {
    if (publishing || halted) return;
    publishing = true;
    queueMicrotask(() => {
      publishing = false;
      try {
        writeStatus();
      } catch (error) {
        log.error({ err: error }, `the pod's status was not written: ${messageOf(error)}`);
      }
    });
  };

  const writeStatus = () => {
    const current = api.get(pods, namespace, name) as Pod | undefined;
    if (halted || current?.metadata.uid !== uid) return;
    const statuses = (containers: readonly Container[] = []) =>
      containers.map((container) => runs.get(container.name)?.status ?? statusBefore(first, container));
    const seen = podStatusFor({
      pod: current,
      problem: facts.problem,
      prepared: facts.prepared,
      initialized: facts.initialized,
      initContainers: statuses(first.spec.initContainers),
      containers: statuses(first.spec.containers),
      outcome,
      nowMs: clock.now(),
    });
    const status = { ...current.status, ...seen };
    if (!isDeepStrictEqual(current.status, status)) pod = api.update(pods, { ...current, status }, 'status') as Pod;
  };

  const claimPorts = async () => {
    ports = await deps.ports.claim(uid, first.spec, portsOf(pod));
    const current = api.get(pods, namespace, name);
    if (current?.metadata.uid !== uid || stopping.signal.aborted) return;
    const annotations = { ...current.metadata.annotations, [portsAnnotation]: JSON.stringify(ports) };
    pod = api.update(pods, { ...current, metadata: { ...current.metadata, annotations } }) as Pod;
  };

  /** Claims ports, fills volumes; again until both are done. */
  const prepare = async () => {
    mkdirSync(volumesDirectory, { recursive: true, mode: 0o700 });
    for (;;) {
      try {
        await claimPorts();
        writeKubeconfig();
        refreshVolumes();
        facts = { ...facts, prepared: true };
        delete facts.problem;
        return;
      } catch (error) {
        const message = messageOf(error);
        const reason =
          error instanceof CodedError && error.code === 'cluster/host-port' ? 'HostPortTaken' : 'FailedMount';
        if (facts.problem?.message !== message) event('Warning', reason, message);
        facts = { ...facts, problem: { reason, message } };
        publish();
      }
      await Promise.race([clock.sleep(prepareRetryMs, stopping.signal), wake.promise]);
      wake = Promise.withResolvers();
    }
  };

  const refreshVolumes = () => {
    volumes.refresh(pod);
    cancelRenewal?.();
    const renewInMs = volumes.renewAtMs - clock.monotonic();
    if (Number.isFinite(renewInMs)) cancelRenewal = clock.after(renewInMs, refreshQuietly);
  };

  const refreshQuietly = () => {
    if (stopping.signal.aborted) return;
    try {
      refreshVolumes();
    } catch (error) {
      // What is there stays, as with a kubelet: a ConfigMap that is replaced is missing for a moment.
      event('Warning', 'FailedMount', messageOf(error));
      cancelRenewal = clock.after(renewRetryMs, refreshQuietly);
    }
  };

  const writeKubeconfig = () => {
    const { serviceAccountName } = first.spec;
    if (serviceAccountName === undefined) return;
    if (api.get(serviceAccounts, namespace, serviceAccountName) === undefined) {
      throw new CodedError('cluster/config', `serviceaccount "${serviceAccountName}" not found`);
    }
    const path = join(directory, 'kubeconfig');
    writeFileSync(path, kubeconfigOf(deps.tokens, deps.apiAddress, first), { mode: 0o600 });
    chmodSync(path, 0o600);
  };

  const start = (container: Container, restart: RestartPolicy): ContainerRun => {
    const portOf = (port: number | string) => {
      const found = resolvePort(first.spec, ports, port);
      if (found === undefined)
        throw new CodedError('cluster/container', `no container of the pod declares port ${port}`);
      return found;
    };
    const run = runContainer(
      {
        clock,
        log,
        command: async () => {
          const env = await environmentFor(deps, pod, container);
          if (first.spec.serviceAccountName !== undefined) env.KUBECONFIG ??= join(directory, 'kubeconfig');
          const mounts = mountsOf(container, volumesDirectory);
          const root = join(directory, 'roots', container.name);
          linkMounts(mounts, root);
          return commandFor(deps.images, pod, container, { env, ports, mounts, root, podIp });
        },
        spawn: (command) => deps.processes.spawn(command, directory),
        record: ({ stdout, stderr }, instance) =>
          deps.logs.record({ uid, container: container.name }, instance, [stdout, stderr]),
        portOf,
        event,
        onChange: publish,
      },
      container,
      { restart, graceMs, before: statusIn(first, container.name) },
    );
    runs.set(container.name, run);
    return run;
  };

  const run = async () => {
    publish();
    await prepare();
    const restart = first.spec.restartPolicy ?? 'Always';
    for (const container of first.spec.initContainers ?? []) {
      stopping.signal.throwIfAborted();
      if (container.restartPolicy === 'Always') {
        await start(container, 'Always').started;
        continue;
      }
      const ended = await start(container, restart === 'Never' ? 'Never' : 'OnFailure').finished;
      if (ended === 'stopped') return;
      if (ended === 'failed') return finish('Failed');
    }
    stopping.signal.throwIfAborted();
    facts = { ...facts, initialized: true };
    const outcomes = await Promise.all(first.spec.containers.map((container) => start(container, restart).finished));
    if (outcomes.includes('stopped')) return;
    await stopSidecars(graceMs);
    finish(outcomes.every((one: Outcome) => one === 'succeeded') ? 'Succeeded' : 'Failed');
  };

  const finish = (phase: 'Succeeded' | 'Failed') => {
    outcome = phase;
    publish();
  };

  const runsOf = (containers: readonly Container[] = []) =>
    containers.flatMap((container) => runs.get(container.name) ?? []);

  const stopSidecars = async (withinMs: number) => {
    for (const sidecar of runsOf(first.spec.initContainers).reverse()) await sidecar.stop(withinMs);
  };

  const stop = async (withinMs: number) => {
    stopping.abort(new Error('the pod stops'));
    cancelRenewal?.();
    const since = clock.monotonic();
    await Promise.all(runsOf(first.spec.containers).map((container) => container.stop(withinMs)));
    await stopSidecars(Math.max(0, withinMs - (clock.monotonic() - since)));
    await ended;
  };

  const ended = run().catch((error) => {
    if (!stopping.signal.aborted) log.error({ err: error }, `the pod cannot go on: ${messageOf(error)}`);
  });

  return {
    update(changed) {
      pod = changed;
      const usesMetadata = first.spec.volumes?.some(({ downwardAPI, projected }) => downwardAPI ?? projected);
      if (facts.prepared && usesMetadata) refreshQuietly();
    },
    sourceChanged(source) {
      wake.resolve();
      if (facts.prepared && sources.has(source)) refreshQuietly();
    },
    async terminate(withinMs) {
      await stop(withinMs);
      halted = true;
      if (api.get(pods, namespace, name)?.metadata.uid === uid)
        api.delete(pods, namespace, name, { gracePeriodSeconds: 0 });
      deps.ports.release(uid);
      deps.logs.remove(uid);
      rmSync(directory, { recursive: true, force: true });
    },
    async halt(withinMs) {
      halted = true;
      stopping.abort(new Error('the cluster stops'));
      await Promise.all([...runs.values()].map((one) => one.stop(withinMs, { withPreStop: false })));
      await stop(withinMs);
    },
  };
}

function statusIn({ status }: Pod, name: string): ContainerStatus | undefined {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const found = all.find((one) => one.name === name);
  // One that has not run yet is no earlier run.
  return found?.state.waiting?.reason === 'ContainerCreating' || found?.state.waiting?.reason === 'PodInitializing'
    ? undefined
    : found;
}

/** What is shown of a container that has not been started in this run of the node. */
function statusBefore(pod: Pod, { name, image }: Container): ContainerStatus {
  const isInit = pod.spec.initContainers?.some((container) => container.name === name) === true;
  const reason = !isInit && (pod.spec.initContainers ?? []).length > 0 ? 'PodInitializing' : 'ContainerCreating';
  const before = statusIn(pod, name);
  return {
    name,
    image,
    imageID: image,
    ready: false,
    started: false,
    restartCount: before?.restartCount ?? 0,
    state: { waiting: { reason } },
    lastState: before?.lastState ?? {},
  };
}
