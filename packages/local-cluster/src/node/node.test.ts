import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ask,
  deploymentOf,
  readyPodsOf,
  remove,
  startDeployment,
  startTestCluster,
  type TestCluster,
  until,
} from '../testing/cluster.ts';
import { configMaps, deployments, endpointSlices, services } from '../workloads/kinds.ts';

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
});
