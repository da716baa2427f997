import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
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
    const kubeconfig = parse(readFileSync(cluster.kubeconfigPath, 'utf8'));
    const ca = Buffer.from(kubeconfig.clusters[0].cluster['certificate-authority-data'], 'base64');
    const path = `/api/v1/namespaces/default/pods/${pod.metadata.name}/log?container=main&follow=true`;
    const headers = { authorization: `Bearer ${kubeconfig.users[0].user.token}` };
    const sent = request(new URL(path, kubeconfig.clusters[0].cluster.server), { ca, headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const next = async () => String((await once(response, 'data'))[0]);

    expect(await next()).toBe('hello\n');
    const line = next();
    await ask(cluster, pod, '/print?text=again');
    expect(await line).toBe('again\n');
    sent.destroy();
    expect(statSync(cluster.kubeconfigPath).mode & 0o777).toBe(0o600);
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
