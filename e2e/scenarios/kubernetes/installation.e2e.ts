import { describe, expect, it } from 'vitest';
import { clusterKubectl } from '../../frame/cluster-world.ts';
import { readInstalled, systemNamespace } from '../../frame/installation.ts';

/** What the chart brought, as the API server and the kubelet see it. */

describe('an installation', async () => {
  const installed = readInstalled();
  const kubectl = await clusterKubectl(installed.kubeconfig);

  it('came from helm install to the first prediction in less than 60 s', ({ task }) => {
    const total = Object.values(installed.phases).reduce((sum, seconds) => sum + seconds, 0);
    task.meta.figures = [`helm install to the first prediction: ${total.toFixed(1)} s`];

    expect(total).toBeLessThan(60);
  });

  it.each([
    ['get', 'secrets', 'default'],
    ['list', 'secrets', systemNamespace],
    ['create', 'pods', 'default'],
    ['delete', 'inferenceservices.serving.kserve.io', 'default'],
    ['update', 'clusterservingruntimes.serving.kserve.io', 'default'],
    ['get', 'nodes', 'default'],
  ])('its controller may not %s %s', async (verb, resource, namespace) => {
    const account = `system:serviceaccount:${systemNamespace}:roundhouse-controller`;

    expect(await canI(verb, resource, namespace, account)).toBe('no');
  });

  it('has routers with no permission and no token', async () => {
    const account = `system:serviceaccount:${systemNamespace}:roundhouse-router`;
    const mounts = await kubectl([
      ...['get', 'pods', '-n', systemNamespace, '-l', 'app=roundhouse-router'],
      ...['-o', 'jsonpath={.items[*].spec.containers[*].volumeMounts[*].mountPath}'],
    ]);

    expect(await canI('list', 'inferenceservices.serving.kserve.io', 'default', account)).toBe('no');
    expect(mounts).not.toContain('/var/run/secrets/kubernetes.io');
  });

  async function canI(verb: string, resource: string, namespace: string, account: string): Promise<string> {
    const args = ['auth', 'can-i', verb, resource, '-n', namespace, `--as=${account}`];
    // "no" is an exit status of 1 as well.
    return (await kubectl(args).catch((error: { stdout?: string }) => error.stdout ?? String(error))).trim();
  }
});

declare module 'vitest' {
  interface TaskMeta {
    figures?: string[];
  }
}
