import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { startLocalCluster } from '@roundhouse/local-cluster';
import { silentLog } from '@roundhouse/telemetry';
import { type Kube, openKube } from '../kube.ts';

/** A real API server of the local cluster, and a client of it. */
export async function openEmbeddedApi(): Promise<{ readonly kube: Kube; close(): Promise<void> }> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'roundhouse-kube-'));
  const options = { dataDirectory, images: {}, clock: systemClock, random: systemRandom, log: silentLog };
  const cluster = await startLocalCluster(options);
  const kube = await openKube({ kubeconfigPath: cluster.kubeconfigPath });
  return {
    kube,
    async close() {
      await kube.close();
      await cluster.close();
      rmSync(dataDirectory, { recursive: true, force: true });
    },
  };
}

export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('gave up waiting');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
