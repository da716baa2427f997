import type { ApiGroup } from '@roundhouse/crds';
import type { KubeObject, Resource } from '@roundhouse/local-cluster';
import { images, ports, systemNamespace } from './names.ts';

export type SystemObject = { readonly resource: Resource; readonly object: KubeObject };

export type SystemOptions = {
  /** Of the kinds that are served. */
  readonly apiGroup: ApiGroup;
  /** The router's port on 127.0.0.1. */
  readonly routerPort: number;
  /** Directories that `file://` artifacts may come from. */
  readonly fileRoots: readonly string[];
  /** The host of prediction URLs is `<service>-<namespace>.<domain>`. */
  readonly domain: string;
};

const controlAddress = `roundhouse-control.${systemNamespace}.svc:${ports.control}`;

/** Everything of Roundhouse itself, in the order in which it is created. */
export function systemObjects(options: SystemOptions): SystemObject[] {
  return [
    {
      resource: core('namespaces'),
      object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: systemNamespace } },
    },
    serviceAccount('roundhouse-controller'),
    serviceAccount('roundhouse-router'),
    controlService(),
    controllerApiService(),
    controllerDeployment(options),
    routerDeployment(options),
  ];
}

function controlService(): SystemObject {
  const spec = {
    clusterIP: 'None',
    selector: { app: 'roundhouse-controller' },
    // Only the elected controller listens, and it says so by its own means: readiness is not what decides here.
    publishNotReadyAddresses: true,
    ports: [{ name: 'control', port: ports.control, targetPort: 'control' }],
  };
  return {
    resource: core('services'),
    object: { apiVersion: 'v1', kind: 'Service', metadata: meta('roundhouse-control'), spec },
  };
}

function controllerApiService(): SystemObject {
  const spec = { selector: { app: 'roundhouse-controller' }, ports: [{ name: 'api', port: 80, targetPort: 'api' }] };
  return {
    resource: core('services'),
    object: { apiVersion: 'v1', kind: 'Service', metadata: meta('roundhouse-controller'), spec },
  };
}

function controllerDeployment({ apiGroup, fileRoots, domain }: SystemOptions): SystemObject {
  const args = [
    `--control-port=${ports.control}`,
    `--health-port=${ports.controllerHealth}`,
    `--metrics-port=${ports.controllerMetrics}`,
    `--api-port=${ports.controllerApi}`,
    `--api-group=${apiGroup}`,
    `--domain=${domain}`,
    `--file-roots=${fileRoots.join(':')}`,
  ];
  const container = {
    name: 'controller',
    image: images.controller,
    args,
    env: podIdentity,
    ports: [
      { name: 'control', containerPort: ports.control },
      { name: 'health', containerPort: ports.controllerHealth },
      { name: 'metrics', containerPort: ports.controllerMetrics },
      { name: 'api', containerPort: ports.controllerApi },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 'health' }, periodSeconds: 2 },
    livenessProbe: { httpGet: { path: '/healthz', port: 'health' }, periodSeconds: 10, initialDelaySeconds: 10 },
  };
  return deployment('roundhouse-controller', { containers: [container] });
}

function routerDeployment({ routerPort }: SystemOptions): SystemObject {
  const container = {
    name: 'router',
    image: images.router,
    args: [`--port=${ports.router}`, `--ops-port=${ports.routerOps}`],
    env: [
      ...podIdentity,
      { name: 'ROUNDHOUSE_CONTROL_ADDRESS', value: controlAddress },
      { name: 'ROUNDHOUSE_CA_FILE', value: '/var/run/roundhouse/ca/ca.crt' },
      { name: 'ROUNDHOUSE_TOKEN_FILE', value: '/var/run/secrets/roundhouse/token' },
    ],
    ports: [
      { name: 'http', containerPort: ports.router, hostPort: routerPort },
      { name: 'ops', containerPort: ports.routerOps },
    ],
    volumeMounts: [
      { name: 'roundhouse-ca', mountPath: '/var/run/roundhouse/ca', readOnly: true },
      { name: 'roundhouse-token', mountPath: '/var/run/secrets/roundhouse', readOnly: true },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 'ops' }, periodSeconds: 2 },
    livenessProbe: { httpGet: { path: '/healthz', port: 'ops' }, periodSeconds: 10, initialDelaySeconds: 10 },
  };
  const token = { serviceAccountToken: { audience: 'roundhouse-control', expirationSeconds: 3600, path: 'token' } };
  const volumes = [
    { name: 'roundhouse-ca', configMap: { name: 'roundhouse-ca', optional: true } },
    { name: 'roundhouse-token', projected: { sources: [token] } },
  ];
  return deployment('roundhouse-router', { containers: [container], volumes });
}

const podIdentity = [
  { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
  { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
  { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
];

function deployment(name: string, podSpec: Readonly<Record<string, unknown>>): SystemObject {
  const labels = { app: name };
  const spec = {
    replicas: 1,
    // A port of this machine can be held by one process only: the old one goes before the new one comes.
    strategy: { type: 'Recreate' },
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: { serviceAccountName: name, terminationGracePeriodSeconds: 10, ...podSpec },
    },
  };
  const object: KubeObject = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { ...meta(name), labels }, spec };
  return { resource: { group: 'apps', resource: 'deployments' }, object };
}

function serviceAccount(name: string): SystemObject {
  return {
    resource: core('serviceaccounts'),
    object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(name) },
  };
}

function core(resource: string): Resource {
  return { group: '', resource };
}

function meta(name: string) {
  return { name, namespace: systemNamespace };
}
