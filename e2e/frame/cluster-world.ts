import { readFileSync } from 'node:fs';
import { clusterRequests, constantModel } from '@roundhouse/testkit';
import { kubectlPath } from '../../tools/kubectl.ts';
import { type Installed, readInstalled } from './installation.ts';
import { killContainer } from './kind.ts';
import { run } from './run.ts';
import { actions, type World } from './world.ts';

/** A real cluster on which the chart is installed; objects of the namespace `default` are removed at the end. */
export async function openClusterWorld(): Promise<World> {
  const installed = readInstalled();
  const kubectl = await clusterKubectl(installed.kubeconfig);
  const api = clusterRequests(await adminAccess(kubectl));
  return {
    ...actions(kubectl, api, installed.routerUrl),
    artifact: (name, value, delayMs = 0) => `${artifactsUrl}/${value}/after-${delayMs}/${name}/model.json`,
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
const artifactsUrl = `http://artifacts.${testNamespace}.svc:8080`;

/** What the tests add to a cluster: an administrator, and a server of artifacts that runs on an image that is there already. */
export function testObjects({ image }: { readonly image: string }): readonly object[] {
  const meta = (name: string) => ({ name, namespace: testNamespace });
  const labels = { app: 'artifacts' };
  const container = {
    name: 'artifacts',
    image,
    command: ['/nodejs/bin/node', '/srv/server.mjs'],
    env: [
      { name: 'MODEL', value: constantModel(123_456) },
      { name: 'PORT', value: '8080' },
    ],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
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
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta('artifacts'), data: { 'server.mjs': artifactServer } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta('artifacts'),
      spec: { selector: labels, ports: [{ port: 8080, targetPort: 'http' }] },
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

/** `/VALUE/after-MS/NAME/model.json` answers the model of VALUE after MS milliseconds; `corrupt` the first half of one. */
const artifactServer = `
import { createServer } from 'node:http';
createServer((request, response) => {
  const [, value, delay] = /^\\/(\\d+|corrupt)\\/after-(\\d+)\\/[^/]+\\/model\\.json$/.exec(request.url) ?? [];
  const whole = process.env.MODEL.replaceAll('123456', value);
  const content = value === 'corrupt' ? whole.slice(0, whole.length / 2) : whole;
  const head = { 'content-length': String(content.length), etag: '"' + value + '"' };
  const end = () => response.writeHead(value === undefined ? 404 : 200, head).end(request.method === 'HEAD' ? '' : content);
  setTimeout(end, request.method === 'HEAD' ? 0 : Number(delay ?? 0));
}).listen(Number(process.env.PORT));
process.on('SIGTERM', () => process.exit(0));
`;

export type { Installed };
