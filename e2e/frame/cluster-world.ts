import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusterRequests, s3Keys } from '@roundhouse/testkit';
import { rolldown } from 'rolldown';
import { kubectlPath } from '../../tools/kubectl.ts';
import { artifactPath } from './artifact-server.ts';
import { type Installed, readInstalled } from './installation.ts';
import { killContainer } from './kind.ts';
import { storePorts } from './private-stores.ts';
import { run } from './run.ts';
import { actions, type World } from './world.ts';

/** A real cluster on which the chart is installed; objects of the namespace `default` are removed at the end. */
export async function openClusterWorld(): Promise<World> {
  const installed = readInstalled();
  const kubectl = await clusterKubectl(installed.kubeconfig);
  const api = clusterRequests(await adminAccess(kubectl));
  return {
    ...actions(kubectl, api, installed.routerUrl),
    artifact: (...what) => `http://${storeHost}:${storePorts.artifacts}${artifactPath(...what)}`,
    async stores() {
      const proxy = `/api/v1/namespaces/${testNamespace}/services/artifacts:key/proxy/`;
      const serviceAccountKey = await kubectl(['get', '--raw', proxy]);
      return {
        s3: { url: `http://${storeHost}:${storePorts.s3}`, keys: s3Keys },
        gcs: { url: `http://${storeHost}:${storePorts.gcs}`, serviceAccountKey },
      };
    },
    kill: (namespace, podPrefix, container) => killContainer(kubectl, installed, namespace, podPrefix, container),
    async close() {
      await kubectl(['delete', 'inferenceservices,trainedmodels', '--all', '--timeout=200s']);
      await kubectl(['wait', '--for=delete', 'pods', '--all', '--timeout=60s']).catch(() => {});
    },
  };
}

export async function clusterKubectl(kubeconfig: string): Promise<World['kubectl']> {
  const file = await kubectlPath();
  return (args, input) => run(file, args, { ...(input !== undefined && { input }), env: { KUBECONFIG: kubeconfig } });
}

/** Requests that would take kubectl's start-up time otherwise: by a token, made for the tests. */
export async function adminAccess(kubectl: World['kubectl']) {
  const view = await kubectl(['config', 'view', '--raw', '--minify', '-o', 'json']);
  const { clusters }: { clusters: readonly { cluster: Record<string, string> }[] } = JSON.parse(view);
  const cluster = clusters[0]?.cluster ?? {};
  const authority = cluster['certificate-authority-data'];
  const ca = authority
    ? Buffer.from(authority, 'base64').toString()
    : readFileSync(cluster['certificate-authority'] ?? '', 'utf8');
  const token = await kubectl(['create', 'token', '-n', testNamespace, 'admin', '--duration=4h']);
  return { apiUrl: cluster.server ?? '', ca, token: token.trim() };
}

export const testNamespace = 'roundhouse-e2e';
const storeHost = `artifacts.${testNamespace}.svc`;

/** What the tests add to a cluster: an administrator, and what models come from, on an image that is there already. */
export async function testObjects({ image }: { readonly image: string }): Promise<readonly object[]> {
  const meta = (name: string) => ({ name, namespace: testNamespace });
  const labels = { app: 'artifacts' };
  const container = {
    name: 'artifacts',
    image,
    command: ['/nodejs/bin/node', '/srv/store.mjs'],
    readinessProbe: { tcpSocket: { port: storePorts.artifacts }, periodSeconds: 1 },
    volumeMounts: [{ name: 'code', mountPath: '/srv' }],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  };
  const securityContext = { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: 'RuntimeDefault' } };
  const volumes = [{ name: 'code', configMap: { name: 'artifacts' } }];
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: testNamespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta('admin') },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'roundhouse-e2e-admin' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', ...meta('admin') }],
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta('artifacts'), data: { 'store.mjs': await storeProgram() } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta('artifacts'),
      spec: { selector: labels, ports: Object.entries(storePorts).map(([name, port]) => ({ name, port })) },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: meta('artifacts'),
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { securityContext, containers: [container], volumes } },
      },
    },
  ];
}

/** The text of store-pod.ts with all that it imports. */
async function storeProgram(): Promise<string> {
  const bundle = await rolldown({ input: join(import.meta.dirname, 'store-pod.ts'), platform: 'node' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  return output[0].code;
}

export type { Installed };
