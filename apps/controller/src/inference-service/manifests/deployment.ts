import { serverContainerName, shardsMax } from '@roundhouse/crds';
import { agentContainer } from './agent.ts';
import { byKey, type Container } from './container.ts';
import { childMetadata } from './metadata.ts';
import type { Rendering } from './rendering.ts';
import { modelServer } from './server.ts';

/** Fields of a PodSpec that a predictor may carry. */
const podFields = [
  ...['volumes', 'initContainers', 'restartPolicy', 'terminationGracePeriodSeconds', 'activeDeadlineSeconds'],
  ...['dnsPolicy', 'nodeSelector', 'serviceAccountName', 'automountServiceAccountToken', 'nodeName', 'hostNetwork'],
  ...['hostPID', 'hostIPC', 'shareProcessNamespace', 'securityContext', 'imagePullSecrets', 'hostname', 'subdomain'],
  ...['affinity', 'schedulerName', 'tolerations', 'hostAliases', 'priorityClassName', 'priority', 'dnsConfig'],
  ...['readinessGates', 'runtimeClassName', 'enableServiceLinks', 'preemptionPolicy', 'overhead', 'os', 'hostUsers'],
  ...['topologySpreadConstraints', 'setHostnameAsFQDN', 'schedulingGates', 'resourceClaims'],
] as const;

const fromRuntime = [
  'nodeSelector',
  'affinity',
  'tolerations',
  'imagePullSecrets',
  'schedulerName',
  'hostIPC',
] as const;

/** The model servers of one service. The template never changes when models do, nor when shards appear. */
export function deploymentFor(rendering: Rendering) {
  const { names, service, predictor, runtime } = rendering;
  const selector = { app: names.app(service.name) };
  const podMetadata = childMetadata(rendering);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...podMetadata,
      name: names.predictor(service.name),
      namespace: service.namespace,
      ownerReferences: [service.owner],
    },
    spec: {
      replicas: predictor.minReplicas ?? 1,
      selector: { matchLabels: selector },
      strategy: predictor.deploymentStrategy ?? {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' },
      },
      template: {
        metadata: podMetadata,
        spec: {
          terminationGracePeriodSeconds: 30,
          ...pick(runtime.spec, fromRuntime),
          ...pick(predictor, podFields),
          containers: containersFor(rendering),
          volumes: byKey('name', runtime.spec.volumes, predictor.volumes, volumesFor(rendering)),
        },
      },
    },
  };
}

function containersFor(rendering: Rendering): Container[] {
  const { service, predictor, runtime } = rendering;
  const server = modelServer(rendering);
  const sidecars = byKey('name', runtime.spec.containers, predictor.containers) as Container[];
  const environment = [{ name: 'INFERENCE_SERVICE_NAME', value: service.name }];
  return [
    server,
    ...sidecars
      .filter(({ name }) => name !== serverContainerName)
      .map((container) => ({ ...container, env: byKey('name', container.env, environment) })),
    agentContainer(rendering, server),
  ];
}

function volumesFor({ names, service, secrets }: Rendering) {
  const shards = Array.from({ length: shardsMax }, (_, shard) => ({
    configMap: {
      name: names.modelConfig(service.name, shard),
      optional: true,
      items: [{ key: 'models.json', path: shard === 0 ? 'models.json' : `models-${shard}.json` }],
    },
  }));
  const token = { audience: 'roundhouse-control', expirationSeconds: 3600, path: 'token' };
  return [
    { name: 'model-dir', emptyDir: {} },
    { name: 'model-config', projected: { sources: shards } },
    { name: 'roundhouse-ca', configMap: { name: 'roundhouse-ca', optional: true } },
    { name: 'roundhouse-token', projected: { sources: [{ serviceAccountToken: token }] } },
    ...secrets.map((secretName) => ({ name: `secret-${secretName}`, secret: { secretName, optional: true } })),
  ];
}

function pick(from: object, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([key, value]) => fields.includes(key) && value !== undefined));
}
