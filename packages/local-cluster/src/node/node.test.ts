import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  ask,
  deploymentOf,
  isAlive,
  podsOf,
  readyPodsOf,
  remove,
  startDeployment,
  startTestCluster,
  type TestCluster,
  until,
} from '../testing/cluster.ts';
import {
  configMaps,
  deployments,
  endpointSlices,
  events,
  type Pod,
  pods,
  secrets,
  services,
} from '../workloads/kinds.ts';

let cluster: TestCluster;

beforeEach(() => {
  cluster = startTestCluster();
});

afterEach(async () => {
  await cluster.close();
  remove(cluster);
});

type Seen = { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>>; readonly pid: number };

const configMap = (name: string, data: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});

describe('the node', () => {
  it('runs a Deployment as a process with its ports, variables and files, behind a Service', async () => {
    const { api } = cluster;
    api.create(configMaps, configMap('settings', { 'greeting.txt': 'hello' }));
    api.create(services, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    });
    const pod = await startDeployment(
      cluster,
      deploymentOf(
        'web',
        {
          args: ['--config', '/etc/settings/greeting.txt', '--name=$(POD_NAME)'],
          env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          volumeMounts: [{ name: 'settings', mountPath: '/etc/settings' }],
        },
        { podSpec: { volumes: [{ name: 'settings', configMap: { name: 'settings' } }] } },
      ),
    );
    const seen = await ask<Seen>(cluster, pod, '/');
    const file = seen.args[seen.args.indexOf('--config') + 1] ?? '';
    const slice = await until('a ready endpoint', () =>
      api.list(endpointSlices).items.find(({ endpoints }) => JSON.stringify(endpoints).includes('"ready":true')),
    );
    const proxied = await fetch(`http://${await cluster.node.serviceAddress('default', 'web', 80)}/`);

    expect(seen.args).toContain(`--name=${pod.metadata.name}`);
    expect(await ask(cluster, pod, `/file?path=${encodeURIComponent(file)}`)).toBe('hello');
    expect(slice.ports).toMatchObject([
      { name: 'http', port: cluster.node.portOf('default', pod.metadata.name, 8080) },
    ]);
    expect(((await proxied.json()) as Seen).pid).toBe(seen.pid);
    await until('the rollout', () => {
      const status = api.get(deployments, 'default', 'web')?.status as { availableReplicas?: number } | undefined;
      return status?.availableReplicas === 1;
    });
    expect(readyPodsOf(cluster, 'web')).toHaveLength(1);
  });

  it('changes the files of a ConfigMap in place within 100 ms, all at once', async () => {
    const { api } = cluster;
    api.create(configMaps, configMap('settings', { a: '1', b: '1' }));
    const pod = await startDeployment(
      cluster,
      deploymentOf(
        'web',
        { args: ['--at', '/etc/settings'], volumeMounts: [{ name: 'settings', mountPath: '/etc/settings' }] },
        {
          podSpec: {
            volumes: [
              {
                name: 'settings',
                projected: {
                  sources: [
                    { configMap: { name: 'settings', items: [{ key: 'a', path: 'dir/a' }] } },
                    { configMap: { name: 'later', optional: true } },
                    { serviceAccountToken: { audience: 'somebody', path: 'token' } },
                  ],
                },
              },
            ],
          },
        },
      ),
    );
    const { args } = await ask<Seen>(cluster, pod, '/');
    const at = args[args.indexOf('--at') + 1] ?? '';
    const read = (file: string) => readFileSync(join(at, file), 'utf8');

    expect(read('dir/a')).toBe('1');
    expect(existsSync(join(at, 'c'))).toBe(false);
    expect(read('token')).toMatch(/^[^.]+[.][^.]+[.][^.]+$/);
    const before = readlinkSync(join(at, '..data'));
    api.create(configMaps, configMap('later', { c: '3' }));
    await until('the new file', () => existsSync(join(at, 'c')), 100);
    api.update(configMaps, configMap('settings', { a: '2' }));
    await until('the new content', () => read('dir/a') === '2', 100);
    api.delete(configMaps, 'default', 'later');
    await until('the file to go', () => !existsSync(join(at, 'c')), 100);
    expect(readlinkSync(join(at, '..data'))).not.toBe(before);
    expect(readdirSync(at).filter((name) => name.startsWith('..'))).toHaveLength(2);
  });

  it('takes variables from ConfigMaps, Secrets and Services, and waits until they are there', async () => {
    const { api, node } = cluster;
    api.create(configMaps, configMap('settings', { LEVEL: 'high' }));
    const address = await node.serviceAddress('elsewhere', 'control', 9443);
    api.create(
      deployments,
      deploymentOf('web', {
        envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }],
        env: [
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'key' } } },
          { name: 'OTHER', valueFrom: { secretKeyRef: { name: 'none', key: 'key', optional: true } } },
          { name: 'CONTROL_ADDRESS', value: 'control.elsewhere.svc:9443' },
          { name: 'ENDPOINT', value: 'http://control.elsewhere.svc.cluster.local:9443/path' },
          { name: 'BOTH', value: '$(KEY)-$(S_LEVEL)-$(UNKNOWN)' },
        ],
      }),
    );
    const waiting = await until('the reason', () => stateOf(podsOf(cluster, 'web')[0])?.waiting);
    expect(['ContainerCreating', 'CreateContainerConfigError']).toContain(waiting.reason);
    await until(
      'the message',
      () => stateOf(podsOf(cluster, 'web')[0])?.waiting?.message === 'secrets "keys" not found',
    );
    api.create(secrets, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'keys', namespace: 'default' },
      data: { key: Buffer.from('open').toString('base64') },
    });
    const pod = await until('a ready pod', () => readyPodsOf(cluster, 'web')[0]);
    const { env } = await ask<Seen>(cluster, pod, '/');

    expect(env).toMatchObject({
      S_LEVEL: 'high',
      KEY: 'open',
      BOTH: 'open-high-$(UNKNOWN)',
      CONTROL_ADDRESS: address,
      CONTROL_SERVER_NAME: 'control.elsewhere.svc',
      ENDPOINT: `http://${address}/path`,
    });
    expect(env.OTHER).toBeUndefined();
  });

  it.each([
    ['an unknown image', { image: 'nobody/knows' }, {}, 'cannot run image nobody/knows; it has test/plain'],
    ['a command', { command: ['sh'] }, {}, 'leave "command" out'],
    ['an exec probe', { livenessProbe: { exec: { command: ['true'] } } }, {}, 'no shell to run exec in'],
    ['a startup probe', { startupProbe: { tcpSocket: { port: 8080 } } }, {}, 'has no startupProbe'],
    ['init containers', {}, { initContainers: [{ name: 'first', image: 'test/plain' }] }, 'runs no initContainers'],
    ['an end', {}, { restartPolicy: 'Never' }, 'restartPolicy Never is not supported'],
    [
      'a hostPath',
      {},
      { volumes: [{ name: 'host', hostPath: { path: '/' } }] },
      'is hostPath, which the local cluster',
    ],
  ])('refuses %s, and says why', async (_what, container, podSpec, message) => {
    cluster.api.create(deployments, deploymentOf('web', container, { podSpec }));

    await until('the reason', () => eventsOf(cluster).some((event) => event.message.includes(message)));
    expect(readyPodsOf(cluster, 'web')).toEqual([]);
  });

  it('restarts at once the first time, then with a growing delay, on the same port', async () => {
    const pod = await startDeployment(cluster, deploymentOf('web', {}));
    const { pid } = await ask<Seen>(cluster, pod, '/');
    const since = Date.now();
    await ask(cluster, pod, '/die').catch(() => {});
    const again = await until('a new process', () =>
      askQuietly(cluster, pod).then((seen) => seen?.pid !== pid && seen),
    );

    expect(again).toBeTruthy();
    expect(Date.now() - since).toBeLessThan(900);
    await until('it to be ready', () => readyPodsOf(cluster, 'web')[0]);
    const status = podsOf(cluster, 'web')[0]?.status?.containerStatuses?.[0];
    expect(status).toMatchObject({ restartCount: 1, lastState: { terminated: { exitCode: 3, reason: 'Error' } } });
    await ask(cluster, pod, '/die').catch(() => {});
    await until('the back-off', () => stateOf(podsOf(cluster, 'web')[0])?.waiting?.reason === 'CrashLoopBackOff');
    await until('it to be ready', () => readyPodsOf(cluster, 'web')[0]);
    expect(podsOf(cluster, 'web')[0]?.status?.containerStatuses?.[0]?.restartCount).toBe(2);
    expect(eventsOf(cluster).map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(['Scheduled', 'Started', 'BackOff']),
    );
  });

  it('restarts what its liveness probe finds sick', async () => {
    const livenessProbe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 0.2, failureThreshold: 10 };
    const initialDelaySeconds = 2; // also where the machine is busy the server is there by then
    const pod = await startDeployment(
      cluster,
      deploymentOf('web', { livenessProbe: { ...livenessProbe, initialDelaySeconds } }),
    );
    await ask(cluster, pod, '/sicken');

    await until('a restart', () => podsOf(cluster, 'web')[0]?.status?.containerStatuses?.[0]?.restartCount === 1);
    await until('it to be ready', () => readyPodsOf(cluster, 'web')[0]);
    expect(eventsOf(cluster).map(({ reason }) => reason)).toEqual(expect.arrayContaining(['Unhealthy', 'Killing']));
  });

  it('ends a pod by its hook, SIGTERM and SIGKILL, and removes all it had', async () => {
    const { api, directory } = cluster;
    const lifecycle = { preStop: { httpGet: { path: '/drain', port: 'http' } } };
    const podSpec = { terminationGracePeriodSeconds: 1 };
    const pod = await startDeployment(cluster, deploymentOf('web', { args: ['--stubborn'], lifecycle }, { podSpec }));
    const { pid } = await ask<Seen>(cluster, pod, '/');
    const log = collect(cluster, pod);
    const since = Date.now();
    api.delete(deployments, 'default', 'web');
    await until('the pod to be gone', () => api.get(pods, 'default', pod.metadata.name) === undefined);

    expect(Date.now() - since).toBeGreaterThan(900);
    expect(await log).toEqual(['drained', 'asked to end']);
    expect(isAlive(pid)).toBe(false);
    await until('its files to be gone', () => !existsSync(join(directory, 'node', 'pods', pod.metadata.uid ?? '')));
  });

  it('waits for a port of the machine that another program has', async () => {
    const { api } = cluster;
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const hostPort = (server.address() as AddressInfo).port;
    api.create(deployments, deploymentOf('web', { ports: [{ name: 'http', containerPort: 8080, hostPort }] }));
    const condition = await until('the condition', () =>
      podsOf(cluster, 'web')[0]?.status?.conditions?.find(({ reason }) => reason === 'HostPortTaken'),
    );

    expect(condition.message).toContain(String(hostPort));
    server.close();
    const pod = await until('a ready pod', () => readyPodsOf(cluster, 'web')[0]);
    expect(cluster.node.portOf('default', pod.metadata.name, 'http')).toBe(hostPort);
  });

  it('ends what runs in a namespace that is deleted', async () => {
    const { api } = cluster;
    const namespaces = { group: '', resource: 'namespaces' };
    api.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
    const deployment = deploymentOf('web', {});
    api.create(deployments, { ...deployment, metadata: { ...deployment.metadata, namespace: 'other' } });
    await until('a running pod', () =>
      JSON.stringify(api.list(pods, { namespace: 'other' }).items).includes('"running"'),
    );
    api.delete(namespaces, undefined, 'other');

    await until('the namespace to be gone', () => api.get(namespaces, undefined, 'other') === undefined);
    expect(api.list(pods, { namespace: 'other' }).items).toEqual([]);
  });

  it('gives pods the access of their ServiceAccount', async () => {
    const podSpec = { serviceAccountName: 'robot' };
    cluster.api.create(
      { group: '', resource: 'serviceaccounts' },
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'robot', namespace: 'default' },
      },
    );
    const pod = await startDeployment(cluster, deploymentOf('web', {}, { podSpec }));
    const { env } = await ask<Seen>(cluster, pod, '/');
    const kubeconfig = parse(readFileSync(env.KUBECONFIG ?? '', 'utf8'));

    expect(cluster.api.tokens.identify(kubeconfig.users[0].user.token)).toMatchObject({
      user: { username: 'system:serviceaccount:default:robot' },
    });
    expect(statSync(env.KUBECONFIG ?? '').mode & 0o777).toBe(0o600);
  });

  it('goes on with its pods when it is started again', async () => {
    const { api, directory } = cluster;
    const pod = await startDeployment(cluster, deploymentOf('web', {}));
    const { pid } = await ask<Seen>(cluster, pod, '/');
    await cluster.close();
    expect(isAlive(pid)).toBe(false);

    cluster = startTestCluster(api, directory);
    await until('it to say that the pod is not ready', () => readyPodsOf(cluster, 'web').length === 0);
    const again = await until('a ready pod', () => readyPodsOf(cluster, 'web')[0]);
    expect(again.metadata.uid).toBe(pod.metadata.uid);
    expect(again.status?.containerStatuses?.[0]?.restartCount).toBe(1);
  });
});

function stateOf(pod: Pod | undefined) {
  return pod?.status?.containerStatuses?.[0]?.state;
}

function eventsOf({ api }: TestCluster) {
  return api.list(events).items as unknown as readonly { readonly reason: string; readonly message: string }[];
}

async function askQuietly(of: TestCluster, pod: Pod): Promise<Seen | undefined> {
  return ask<Seen>(of, pod, '/').catch(() => undefined);
}

/** The container's whole log, followed to its end. */
async function collect({ node }: TestCluster, { metadata }: Pod): Promise<string[]> {
  const lines: string[] = [];
  const request = {
    namespace: 'default',
    pod: metadata.name,
    container: 'main',
    follow: true,
    previous: false,
    tailLines: undefined,
    sinceSeconds: undefined,
    timestamps: false,
  };
  for await (const line of node.logs.read(request, new AbortController().signal)) lines.push(line);
  return lines;
}
