import type { Condition, Names, ResourceName } from '@roundhouse/crds';
import type { KubeObject } from '@roundhouse/kube';

/** An object as informers keep it: what we do not read is cut off. */
export type Stored = KubeObject;

/** What informers hold of one resource. */
export type View = {
  get(key: string): Stored | undefined;
  list(): Iterable<Stored>;
};

/** Everything that is watched. */
export type Views = {
  readonly services: View;
  readonly models: View;
  readonly runtimes: View;
  readonly clusterRuntimes: View;
  readonly deployments: View;
  readonly childServices: View;
  readonly modelConfigs: View;
  readonly autoscalers: View;
  readonly budgets: View;
  /** ConfigMaps beside the controller. */
  readonly settings: View;
};

/** The writes and single reads that we make. `resource` names them as in URLs. */
export type Cluster = {
  get(
    resource: ResourceName,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<Stored | undefined>;
  create(resource: ResourceName, object: object, signal: AbortSignal): Promise<Stored>;
  replace(resource: ResourceName, object: object, signal: AbortSignal): Promise<Stored>;
  /** A JSON merge patch. Undefined when there is no such object. */
  patch(
    resource: ResourceName,
    target: { readonly namespace: string; readonly name: string; readonly status?: boolean },
    patch: object,
    signal: AbortSignal,
  ): Promise<Stored | undefined>;
  /** A missing object, and one that is another than `uid`, is no error. */
  delete(
    resource: ResourceName,
    target: { readonly namespace: string; readonly name: string; readonly uid: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** The object's metadata alone, without its content. Undefined when there is no such object. */
  metadata(
    resource: ResourceName,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<Stored['metadata'] | undefined>;
};

/** An Event on `regarding`. */
export type RecordEvent = (
  regarding: Stored,
  event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
) => void;

/** What was decided when Roundhouse was installed; it goes into what we render. */
export type Installation = {
  /** Where the controllers and routers run. */
  readonly namespace: string;
  readonly agentImage: string;
  /** Hosts and wildcards that lead to the routers without us: by what the chart made. */
  readonly exposedHosts: readonly string[];
};

/** How agents and routers reach the control stream. */
export const controlHost = ({ namespace }: Installation) => `roundhouse-control.${namespace}.svc`;
export const controlPort = 9443;

/** A kind that the cluster does not have may come, and no watch tells. */
export const missingRetryMs = 15_000;

const core = (resource: string, kind: string): ResourceName => ({ group: '', version: 'v1', resource, kind });
const apps = (resource: string, kind: string): ResourceName => ({ group: 'apps', version: 'v1', resource, kind });

export const resources = {
  deployments: apps('deployments', 'Deployment'),
  replicaSets: apps('replicasets', 'ReplicaSet'),
  services: core('services', 'Service'),
  pods: core('pods', 'Pod'),
  configMaps: core('configmaps', 'ConfigMap'),
  secrets: core('secrets', 'Secret'),
  serviceAccounts: core('serviceaccounts', 'ServiceAccount'),
  autoscalers: {
    group: 'autoscaling',
    version: 'v2',
    resource: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
  },
  budgets: { group: 'policy', version: 'v1', resource: 'poddisruptionbudgets', kind: 'PodDisruptionBudget' },
  scaledObjects: { group: 'keda.sh', version: 'v1alpha1', resource: 'scaledobjects', kind: 'ScaledObject' },
  ingresses: { group: 'networking.k8s.io', version: 'v1', resource: 'ingresses', kind: 'Ingress' },
  httpRoutes: { group: 'gateway.networking.k8s.io', version: 'v1', resource: 'httproutes', kind: 'HTTPRoute' },
} as const;

export function keyOf({ metadata: { namespace, name } }: Stored): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The service that one of its labelled objects belongs to, as a key. */
export function serviceKeyOf(names: Names, { metadata: { namespace, labels } }: Stored): string | undefined {
  const service = labels?.[names.labels.service];
  return service === undefined ? undefined : `${namespace}/${service}`;
}

export function conditionsOf({ status }: Stored): readonly Condition[] {
  return (status as { readonly conditions?: readonly Condition[] } | undefined)?.conditions ?? [];
}

/** Whether a Pod says that it is Ready. */
export function isReady(pod: Stored): boolean {
  return conditionsOf(pod).some(({ type, status }) => type === 'Ready' && status === 'True');
}
