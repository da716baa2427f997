import { shardsMax } from '@roundhouse/crds';
import { agentContainer } from './agent.ts';
import { byKey, type Container, httpPortOf, restricted, withResources } from './container.ts';
import { childMetadata } from './metadata.ts';
import { modelDiskFor } from './model-disk.ts';
import { releaseMarks } from './release.ts';
import type { Rendering } from './rendering.ts';
import { modelServer, serverIn } from './server.ts';

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
  const { names, service, predictor, autoscaling, config } = rendering;
  const rollout = config.deploy.deploymentRolloutStrategy?.defaultRollout;
  const selector = { app: names.app(service.name) };
  const podMetadata = childMetadata(rendering);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...podMetadata,
      annotations: { ...podMetadata.annotations, ...releaseMarks(rendering) },
      name: names.predictor(service.name),
      namespace: service.namespace,
      ownerReferences: [service.owner],
    },
    spec: {
      // An autoscaler, or somebody, has them.
      ...(autoscaling.elsewhere ? {} : { replicas: autoscaling.minReplicas }),
      selector: { matchLabels: selector },
      strategy: predictor.deploymentStrategy ?? {
        type: 'RollingUpdate',
        rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%', ...rollout },
      },
      template: {
        metadata: { ...podMetadata, annotations: { ...scraping(rendering), ...podMetadata.annotations } },
        spec: podSpecFor(rendering),
      },
    },
  };
}

function podSpecFor(rendering: Rendering) {
  const { names, predictor, runtime, config, service } = rendering;
  const given = pick(predictor, podFields);
  const initContainers = (given.initContainers ?? []) as readonly Container[];
  const accelerator = service.annotations[names.annotations.accelerator];
  const gke = accelerator === undefined ? {} : { 'cloud.google.com/gke-accelerator': accelerator };
  const nodeSelector = { ...runtime.spec.nodeSelector, ...gke, ...(given.nodeSelector as object | undefined) };
  return {
    terminationGracePeriodSeconds: 30,
    // Neither server nor agent asks the API server anything, and thousands of Services would make as many variables.
    automountServiceAccountToken: config.security.autoMountServiceAccountToken ?? false,
    enableServiceLinks: false,
    ...pick(runtime.spec, fromRuntime),
    ...given,
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    ...(initContainers.length === 0 ? {} : { initContainers: initContainers.map(beside) }),
    containers: containersFor(rendering),
    volumes: byKey('name', runtime.spec.volumes, predictor.volumes, volumesFor(rendering)),
  };
}

/** Where Prometheus finds the server, for those who ask: the port that the runtime names, or the server's own. */
function scraping({ names, service, runtime, config }: Rendering): Readonly<Record<string, string>> {
  const asked =
    service.annotations[names.annotations.scraping] ??
    String(config.metricsAggregator.enablePrometheusScraping ?? false);
  if (asked !== 'true') return {};
  const { annotations = {} } = runtime.spec;
  return {
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': annotations['prometheus.kserve.io/port'] ?? String(httpPortOf(serverIn(runtime))),
    'prometheus.io/path': annotations['prometheus.kserve.io/path'] ?? '/metrics',
  };
}

/** What containers that are neither server nor agent get when they ask for nothing. */
const besideAmounts = { cpuRequest: '100m', cpuLimit: '1', memoryRequest: '128Mi', memoryLimit: '512Mi' };

const beside = (container: Container) => restricted(withResources(container, besideAmounts));

function containersFor(rendering: Rendering): Container[] {
  const { service, predictor, resolved, runtime } = rendering;
  const server = modelServer(rendering);
  // Containers of one's own are the runtime already.
  const own = resolved.format === 'custom' ? [] : predictor.containers;
  const sidecars = byKey('name', runtime.spec.containers, own) as Container[];
  const environment = [{ name: 'INFERENCE_SERVICE_NAME', value: service.name }];
  return [
    server,
    ...sidecars
      .filter(({ name }) => name !== server.name)
      .map(beside)
      .map((container) => ({ ...container, env: byKey('name', container.env, environment) })),
    agentContainer(rendering, server),
  ];
}

function volumesFor(rendering: Rendering) {
  const { names, service, storage } = rendering;
  const shards = Array.from({ length: shardsMax }, (_, shard) => ({
    configMap: {
      name: names.modelConfig(service.name, shard),
      optional: true,
      items: [{ key: 'models.json', path: shard === 0 ? 'models.json' : `models-${shard}.json` }],
    },
  }));
  const token = { audience: 'roundhouse-control', expirationSeconds: 3600, path: 'token' };
  return [
    { name: 'model-dir', emptyDir: { sizeLimit: modelDiskFor(service, modelServer(rendering)) } },
    { name: 'model-config', projected: { sources: shards } },
    { name: 'roundhouse-ca', configMap: { name: 'roundhouse-ca' } },
    { name: 'roundhouse-token', projected: { sources: [{ serviceAccountToken: token }] } },
    ...storage.secrets.map((secretName) => ({ name: `secret-${secretName}`, secret: { secretName, optional: true } })),
  ];
}

function pick(from: object, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([key, value]) => fields.includes(key) && value !== undefined));
}
