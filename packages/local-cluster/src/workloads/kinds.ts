import type { KubeObject, Resource } from '../api.ts';

/** The parts of Kubernetes' own kinds that the workload controllers and the node read. */

const core = (resource: string): Resource => ({ group: '', resource });
const apps = (resource: string): Resource => ({ group: 'apps', resource });

export const pods = core('pods');
export const services = core('services');
export const endpoints = core('endpoints');
export const serviceAccounts = core('serviceaccounts');
export const nodes = core('nodes');
export const events = core('events');
export const configMaps = core('configmaps');
export const secrets = core('secrets');
export const deployments = apps('deployments');
export const replicaSets = apps('replicasets');
export const endpointSlices: Resource = { group: 'discovery.k8s.io', resource: 'endpointslices' };

type Labels = Readonly<Record<string, string>>;

export type Condition = {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastUpdateTime?: string;
};

export type PodTemplate = {
  readonly metadata?: { readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec: PodSpec;
};

export type Deployment = KubeObject & {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels?: Labels };
    readonly template: PodTemplate;
    readonly strategy?: {
      readonly type?: 'RollingUpdate' | 'Recreate';
      readonly rollingUpdate?: { readonly maxSurge?: number | string; readonly maxUnavailable?: number | string };
    };
    readonly minReadySeconds?: number;
    readonly revisionHistoryLimit?: number;
    readonly progressDeadlineSeconds?: number;
    readonly paused?: boolean;
  };
  readonly status?: DeploymentStatus;
};

export type DeploymentStatus = {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly unavailableReplicas?: number;
  readonly conditions?: readonly Condition[];
};

export type ReplicaSet = KubeObject & {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels?: Labels };
    readonly template: PodTemplate;
    readonly minReadySeconds?: number;
  };
  readonly status?: {
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly observedGeneration?: number;
  };
};

export type Service = KubeObject & {
  readonly spec: {
    readonly selector?: Labels;
    readonly publishNotReadyAddresses?: boolean;
    readonly ports?: readonly ServicePort[];
  };
};

export type ServicePort = {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
  readonly protocol?: string;
  readonly appProtocol?: string;
};

export type EndpointSlice = KubeObject & {
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly conditions?: { readonly ready?: boolean };
  }[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[];
};

export type Pod = KubeObject & { readonly spec: PodSpec; readonly status?: PodStatus };

export type PodSpec = {
  readonly nodeName?: string;
  readonly serviceAccountName?: string;
  readonly restartPolicy?: 'Always' | 'OnFailure' | 'Never';
  readonly terminationGracePeriodSeconds?: number;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
};

export type Container = {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly {
    readonly prefix?: string;
    readonly configMapRef?: ObjectRef;
    readonly secretRef?: ObjectRef;
  }[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly hostPort?: number }[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly subPath?: string;
  }[];
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: Handler; readonly postStart?: Handler };
  /** On an init container: a sidecar, which runs for as long as the pod does. */
  readonly restartPolicy?: 'Always';
};

export type ObjectRef = { readonly name: string; readonly optional?: boolean };
export type KeyRef = ObjectRef & { readonly key: string };
export type FieldRef = { readonly fieldPath: string };

export type EnvVar = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: FieldRef;
    readonly configMapKeyRef?: KeyRef;
    readonly secretKeyRef?: KeyRef;
    readonly resourceFieldRef?: unknown;
  };
};

export type Handler = {
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number | string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number | string };
  readonly exec?: unknown;
  readonly grpc?: unknown;
  readonly sleep?: unknown;
};

export type Probe = Handler & {
  readonly initialDelaySeconds?: number;
  readonly periodSeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
};

export type KeyToPath = { readonly key: string; readonly path: string; readonly mode?: number };
export type DownwardItem = { readonly path: string; readonly fieldRef?: FieldRef; readonly mode?: number };

export type ProjectedSource = {
  readonly configMap?: ObjectRef & { readonly items?: readonly KeyToPath[] };
  readonly secret?: ObjectRef & { readonly items?: readonly KeyToPath[] };
  readonly downwardAPI?: { readonly items?: readonly DownwardItem[] };
  readonly serviceAccountToken?: TokenSource;
};

export type TokenSource = {
  readonly path: string;
  readonly audience?: string;
  readonly expirationSeconds?: number;
};

export type Volume = {
  readonly name: string;
  readonly emptyDir?: unknown;
  readonly configMap?: ObjectRef & { readonly items?: readonly KeyToPath[]; readonly defaultMode?: number };
  readonly secret?: {
    readonly secretName: string;
    readonly optional?: boolean;
    readonly items?: readonly KeyToPath[];
    readonly defaultMode?: number;
  };
  readonly downwardAPI?: { readonly items?: readonly DownwardItem[]; readonly defaultMode?: number };
  readonly projected?: { readonly sources?: readonly ProjectedSource[]; readonly defaultMode?: number };
};

export type ContainerState = {
  readonly waiting?: { readonly reason: string; readonly message?: string };
  readonly running?: { readonly startedAt: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly reason: string;
    readonly startedAt: string;
    readonly finishedAt: string;
  };
};

export type ContainerStatus = {
  readonly name: string;
  readonly image: string;
  readonly imageID: string;
  /** `process://<pid>` while the container runs. */
  readonly containerID?: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  readonly state: ContainerState;
  readonly lastState: ContainerState;
};

export type PodStatus = {
  readonly phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly podIP?: string;
  readonly startTime?: string;
  readonly conditions?: readonly Condition[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
};

/** Where a pod's ports really are, as JSON `{container: {containerPort: port on 127.0.0.1}}`. */
export const portsAnnotation = 'node.roundhouse.dev/ports';

export type PodPorts = Readonly<Record<string, Readonly<Record<string, number>>>>;

export function portsOf({ metadata }: KubeObject): PodPorts {
  const text = metadata.annotations?.[portsAnnotation];
  return text === undefined ? {} : (JSON.parse(text) as PodPorts);
}

/** The port on 127.0.0.1 behind a port of the pod, by number or by name; containers of a pod share their ports. */
export function resolvePort(spec: PodSpec, ports: PodPorts, port: number | string): number | undefined {
  for (const { name, ports: declared = [] } of allContainers(spec)) {
    const found = declared.find(({ name: portName, containerPort }) => port === portName || port === containerPort);
    if (found !== undefined) return ports[name]?.[found.containerPort];
  }
  return undefined;
}

export function allContainers({ initContainers = [], containers }: PodSpec): readonly Container[] {
  return [...initContainers, ...containers];
}

export function controllerOf({ metadata }: KubeObject) {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** The name in `namespace/name`, or all of it for kinds without namespaces. */
export function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export function conditionOf(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod.status?.conditions, 'Ready')?.status === 'True';
}

/** Keeps `lastTransitionTime` while the status is the same. */
export function withTransitions(
  previous: readonly Condition[] | undefined,
  wanted: readonly Condition[],
  now: string,
): Condition[] {
  return wanted.map((condition) => {
    const before = conditionOf(previous, condition.type);
    const same = before?.status === condition.status;
    return { ...condition, lastTransitionTime: (same && before?.lastTransitionTime) || now };
  });
}
