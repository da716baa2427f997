import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { arch, availableParallelism, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { messageOf, type Random, timestamp } from '@roundhouse/base';
import type { KubeObject, PodLogs } from '../api.ts';
import { configMaps, nodes, type Pod, pods, portsOf, resolvePort, secrets } from '../workloads/kinds.ts';
import { recordEvent } from './events.ts';
import { openLogFiles } from './log-files.ts';
import { type PodDeps, type PodRun, runPod } from './pod.ts';
import { createPorts } from './ports.ts';
import { openProcesses } from './processes.ts';
import { createServiceProxy } from './service-proxy.ts';

export type NodeDeps = Pick<PodDeps, 'api' | 'tokens' | 'images' | 'apiAddress' | 'clock' | 'log'> & {
  /** Its `node` folder is the node's own: volumes, logs and process ids. */
  readonly dataDirectory: string;
  readonly random: Random;
};

export type LocalNode = {
  readonly logs: PodLogs;
  /** `127.0.0.1:port`, which leads to the ready endpoints of a Service's port. */
  serviceAddress(namespace: string, service: string, port: number): Promise<string>;
  /** The port on 127.0.0.1 behind a pod's port, by number or name; undefined while it has none. */
  portOf(namespace: string, pod: string, port: number | string): number | undefined;
  /** Ends all processes; their pods go on when a node is started on the same data again. */
  close(): Promise<void>;
};

const nodeName = 'local';

/** Processes that have not ended by then, after the cluster was asked to stop, are killed. */
const closeMsMax = 5000;

/** Runs every pod of the cluster as processes of this machine. */
export function startNode(deps: NodeDeps): LocalNode {
  const { api, clock, log } = deps;
  const home = join(deps.dataDirectory, 'node');
  const podsDirectory = join(home, 'pods');
  mkdirSync(podsDirectory, { recursive: true, mode: 0o700 });
  const logs = openLogFiles({ api, clock, directory: join(home, 'logs') });
  const processes = openProcesses({ file: join(home, 'processes.json'), log });
  const proxy = createServiceProxy(deps);
  const podDeps = { ...deps, logs, processes, ports: createPorts(deps.random), serviceAddress: proxy.address };
  const runs = new Map<string, PodRun>();
  /** The time that each ending pod has left at most. */
  const ending = new Map<string, number>();
  let closed = false;

  registerNode(deps);

  const end = (uid: string, run: PodRun, graceMs: number) => {
    if ((ending.get(uid) ?? Number.POSITIVE_INFINITY) <= graceMs) return;
    ending.set(uid, graceMs);
    run
      .terminate(graceMs)
      .catch((error) => log.error({ err: error, uid }, `ending a pod failed: ${messageOf(error)}`))
      .finally(() => {
        runs.delete(uid);
        ending.delete(uid);
      });
  };

  const look = (pod: Pod, isGone: boolean) => {
    const { uid = '', namespace, name, deletionTimestamp, deletionGracePeriodSeconds = 30 } = pod.metadata;
    const run = runs.get(uid);
    if (isGone) {
      if (run !== undefined) end(uid, run, 0);
    } else if (deletionTimestamp !== undefined) {
      if (run !== undefined) return end(uid, run, deletionGracePeriodSeconds * 1000);
      // It was to end when the node was not there.
      api.delete(pods, namespace, name, { uid, gracePeriodSeconds: 0 });
      logs.remove(uid);
      rmSync(join(podsDirectory, uid), { recursive: true, force: true });
    } else if (run !== undefined) {
      run.update(pod);
    } else if (pod.spec.nodeName === undefined) {
      api.update(pods, { ...pod, spec: { ...pod.spec, nodeName } });
      const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
      recordEvent(deps, pod, { type: 'Normal', reason: 'Scheduled', message });
    } else if (pod.spec.nodeName === nodeName) {
      runs.set(uid, runPod(podDeps, pod, join(podsDirectory, uid)));
    }
  };

  const lookAt = (object: KubeObject, isGone: boolean) => {
    if (closed) return;
    const { namespace, name, uid } = object.metadata;
    // As it is now: acting on what it was some events ago would be a conflict.
    const now = isGone ? undefined : api.get(pods, namespace, name);
    try {
      look((now?.metadata.uid === uid ? now : object) as Pod, isGone);
    } catch (error) {
      log.error({ err: error, name }, `the node failed: ${messageOf(error)}`);
    }
  };

  const { items, resourceVersion } = api.list(pods);
  removeLeftOvers(podsDirectory, items);
  for (const object of items) lookAt(object, false);
  const endWatches = [
    api.watch(pods, { resourceVersion }, ({ type, object }) => lookAt(object, type === 'DELETED')),
    ...[configMaps, secrets].map((resource) =>
      api.watch(resource, { resourceVersion }, ({ object: { metadata } }) => {
        const around = api.list(pods, { namespace: metadata.namespace ?? '' }).items;
        for (const pod of around) runs.get(pod.metadata.uid ?? '')?.sourceChanged();
      }),
    ),
  ];

  return {
    logs,
    serviceAddress: proxy.address,
    portOf(namespace, name, port) {
      const pod = api.get(pods, namespace, name) as Pod | undefined;
      return pod && resolvePort(pod.spec, portsOf(pod), port);
    },
    async close() {
      closed = true;
      for (const endWatch of endWatches) endWatch();
      await Promise.all([...runs.values()].map((run) => run.halt(closeMsMax)));
      await processes.close();
      proxy.close();
    },
  };
}

function removeLeftOvers(directory: string, items: readonly KubeObject[]): void {
  const known = new Set(items.map(({ metadata }) => metadata.uid));
  for (const uid of readdirSync(directory)) {
    if (!known.has(uid)) rmSync(join(directory, uid), { recursive: true, force: true });
  }
}

function registerNode({ api, clock }: NodeDeps): void {
  const now = timestamp(clock.now());
  const resources = { cpu: String(availableParallelism()), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: '1000' };
  const message = 'containers run as processes of this machine';
  const times = { lastHeartbeatTime: now, lastTransitionTime: now };
  const status = {
    capacity: resources,
    allocatable: resources,
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message, ...times }],
    nodeInfo: { architecture: arch(), operatingSystem: platform(), kubeletVersion: 'v1.34.0' },
  };
  const metadata = { name: nodeName, labels: { 'kubernetes.io/os': platform(), 'kubernetes.io/arch': arch() } };
  const node =
    api.get(nodes, undefined, nodeName) ?? api.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata, spec: {} });
  api.update(nodes, { ...node, status }, 'status');
}
