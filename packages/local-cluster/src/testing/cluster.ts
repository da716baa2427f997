import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, systemRandom } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import type { Container } from 'kubernetes-types/core/v1.js';
import type { Api, KubeObject } from '../api.ts';
import { createApi, type LocalApi } from '../create-api.ts';
import type { Images } from '../node/images.ts';
import { type LocalNode, startNode } from '../node/node.ts';
import { openStore } from '../store.ts';
import { deployments, type Pod, pods } from '../workloads/kinds.ts';
import { startWorkloads } from '../workloads/workloads.ts';

const script = fileURLToPath(new URL('./fixtures/container.mjs', import.meta.url));
const path = { PATH: process.env.PATH ?? '' };

/** `test/plain` gets its arguments as they are, `test/server` also the port behind its 8080. */
export const images: Images = {
  'test/plain': ({ args, env }) => ({ file: process.execPath, args: [script, ...args], env: { ...path, ...env } }),
  'test/server': ({ args, env, port }) => ({
    file: process.execPath,
    args: [script, '--port', String(port(8080)), ...args],
    env: { ...path, ...env },
  }),
};

/** An API whose objects live in memory. */
export function startApi(): LocalApi {
  return createApi({ store: openStore({ file: ':memory:' }), clock: systemClock, random: systemRandom });
}

/** What the functions below need of a cluster. */
type Running = { readonly api: Api; readonly node: LocalNode };

export type TestCluster = {
  readonly api: LocalApi;
  readonly node: LocalNode;
  readonly directory: string;
  close(): Promise<void>;
};

export function startTestCluster(
  api: LocalApi = startApi(),
  directory = mkdtempSync(join(tmpdir(), 'cluster-')),
): TestCluster {
  const deps = { api, clock: systemClock, random: systemRandom, log: silentLog };
  const workloads = startWorkloads(deps);
  const node = startNode({
    ...deps,
    tokens: api.tokens,
    images,
    dataDirectory: directory,
    apiAddress: { url: 'https://127.0.0.1:1', ca: '' },
  });
  return {
    api,
    node,
    directory,
    async close() {
      workloads.close();
      await node.close();
    },
  };
}

export function remove({ directory }: TestCluster): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Looks every 10 ms until `find` gives something, and says what was awaited if it does not. */
export async function until<T>(
  what: string,
  find: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function deploymentOf(
  name: string,
  container: Partial<Container>,
  rest: { spec?: object; podSpec?: object } = {},
): KubeObject {
  const labels = { app: name };
  const server: Container = {
    name: 'main',
    image: 'test/server',
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 },
    ...container,
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [server], terminationGracePeriodSeconds: 2, ...rest.podSpec },
      },
      ...rest.spec,
    },
  };
}

export function podsOf({ api }: Running, app: string): readonly Pod[] {
  return api.list(pods, { namespace: 'default', labels: { app } }).items as readonly Pod[];
}

export function readyPodsOf(cluster: Running, app: string): readonly Pod[] {
  return podsOf(cluster, app).filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True'),
  );
}

export async function startDeployment(cluster: Running, deployment: KubeObject): Promise<Pod> {
  cluster.api.create(deployments, deployment);
  return until(`a ready pod of ${deployment.metadata.name}`, () => readyPodsOf(cluster, deployment.metadata.name)[0]);
}

/** Asks a pod's container, at its port 8080 unless another is given. */
export async function ask<T>({ node }: Running, pod: Pod, url: string, port = 8080): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${node.portOf('default', pod.metadata.name, port)}${url}`);
  return (await response.json()) as T;
}

/** Whether a process runs; one that has ended and waits for its parent to notice does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/s.test(existsSync('/proc/self') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '');
  } catch {
    return false;
  }
}
