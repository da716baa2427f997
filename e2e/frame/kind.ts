import { rmSync } from 'node:fs';
import type { Installed } from './installation.ts';
import { run } from './run.ts';
import { until, type World } from './world.ts';

/**
 * The commands that make, fill and delete a kind cluster. Plain kind is enough where its node image can be pulled; a machine without
 * registries names another program with the same three subcommands in `E2E_KIND_DRIVER`: `kind up|load|down NAME …`.
 */
const driver = process.env.E2E_KIND_DRIVER;
const kind = process.env.KIND ?? 'kind';

export async function createCluster(name: string, kubeconfig: string): Promise<void> {
  if (driver !== undefined) {
    await run(driver, ['kind', 'up', name, '--workers', '1', '--kubeconfig', kubeconfig], { timeoutMs: 1_800_000 });
    return;
  }
  const config = JSON.stringify({
    kind: 'Cluster',
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    nodes: [{ role: 'control-plane' }, { role: 'worker' }],
  });
  const image = process.env.KIND_NODE_IMAGE;
  const args = ['create', 'cluster', '--name', name, '--kubeconfig', kubeconfig, '--wait', '180s', '--config', '-'];
  await run(kind, [...args, ...(image ? ['--image', image] : [])], { input: config });
}

export async function loadImages(name: string, images: readonly string[]): Promise<void> {
  if (driver !== undefined) await run(driver, ['kind', 'load', name, ...images]);
  else await run(kind, ['load', 'docker-image', '--name', name, ...images]);
}

export async function deleteCluster(name: string, kubeconfig: string): Promise<void> {
  if (driver !== undefined) await run(driver, ['kind', 'down', name, '--kubeconfig', kubeconfig]);
  else await run(kind, ['delete', 'cluster', '--name', name]);
  rmSync(kubeconfig, { force: true });
}

type Pod = {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly containerStatuses?: readonly { name: string; containerID?: string; state?: { running?: unknown } }[];
  };
};

/** Kills a container's first process on its node, as a crash would. */
export async function killContainer(
  kubectl: World['kubectl'],
  { kindCluster }: Installed,
  namespace: string,
  podPrefix: string,
  container: string,
) {
  if (kindCluster === undefined) throw new Error('only containers of a kind cluster can be killed');
  const find = async () => {
    const { items }: { items: readonly Pod[] } = JSON.parse(
      await kubectl(['get', 'pods', '-n', namespace, '-o', 'json']),
    );
    return items
      .filter(({ metadata }) => metadata.name.startsWith(podPrefix))
      .flatMap(({ metadata, spec, status }) =>
        (status.containerStatuses ?? [])
          .filter(({ name, state }) => name === container && state?.running !== undefined)
          .map(({ containerID = '' }) => ({
            pod: metadata.name,
            node: spec.nodeName,
            id: containerID.replace(/^.*:\/\//, ''),
          })),
      );
  };
  const [victim] = await find();
  if (victim === undefined) throw new Error(`${container} of ${podPrefix} does not run`);
  await run('docker', ['exec', victim.node, 'ctr', '-n', 'k8s.io', 'tasks', 'kill', '-s', 'SIGKILL', victim.id]);
  const isBack = async () => (await find()).some(({ pod, id }) => pod === victim.pod && id !== victim.id);
  return { untilBack: async () => void (await until('it runs again', isBack, 30_000)) };
}

/** What a failed run leaves to read: the nodes' logs, with those of every container. */
export async function exportLogs(name: string, directory: string): Promise<void> {
  await run(kind, ['export', 'logs', '--name', name, directory]);
}
