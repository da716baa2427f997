import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocalCluster, startLocalCluster } from './cluster.ts';
import { ask, deploymentOf, images, readyPodsOf, startDeployment, until } from './testing/cluster.ts';
import { deployments } from './workloads/kinds.ts';

let dataDirectory: string;
let cluster: LocalCluster;
const start = () =>
  startLocalCluster({ dataDirectory, images, clock: systemClock, random: systemRandom, log: silentLog });

beforeEach(async () => {
  dataDirectory = mkdtempSync(join(tmpdir(), 'cluster-'));
  cluster = await start();
});

afterEach(async () => {
  await cluster.close();
  rmSync(dataDirectory, { recursive: true, force: true });
});

describe('startLocalCluster', () => {
  it('serves what runs in it, its logs too, to who has the kubeconfig', async () => {
    const pod = await startDeployment(cluster, deploymentOf('web', { args: ['--say', 'hello'] }));
    const { server } = /server: (?<server>\S+)/.exec(readFileSync(cluster.kubeconfigPath, 'utf8'))?.groups ?? {};
    const headers = { authorization: `Bearer ${cluster.adminToken}` };
    const path = `/api/v1/namespaces/default/pods/${pod.metadata.name}/log`;
    const response = await fetch(`${server}${path}?container=main&follow=true`, { headers });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();

    expect((await reader?.read())?.value).toBe('hello\n');
    await ask(cluster, pod, '/print?text=again');
    expect((await reader?.read())?.value).toBe('again\n');
    await reader?.cancel();
    expect(statSync(cluster.kubeconfigPath).mode & 0o777).toBe(0o600);
    expect((await fetch(`${server}${path}`)).status).toBe(401);
  });

  it('comes back with what was applied, at the same address', async () => {
    const pod = await startDeployment(cluster, deploymentOf('web', {}));
    const { url, adminToken } = cluster;
    await cluster.close();
    const since = performance.now();
    cluster = await start();
    const tookMs = performance.now() - since;
    const again = await until('a ready pod', () => readyPodsOf(cluster, 'web')[0]);

    expect(tookMs).toBeLessThan(300);
    expect([cluster.url, cluster.adminToken]).toEqual([url, adminToken]);
    expect(again.metadata.uid).toBe(pod.metadata.uid);
    await until('the rollout', () =>
      JSON.stringify(cluster.api.get(deployments, 'default', 'web')).includes('"availableReplicas":1'),
    );
  });

  it('refuses a data directory that a running cluster has', async () => {
    await expect(start()).rejects.toMatchObject({ code: 'local-cluster/in-use' });
  });
});
