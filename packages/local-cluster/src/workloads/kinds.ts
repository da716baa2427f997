import type { DeploymentSpec, DeploymentStatus, ReplicaSetSpec, ReplicaSetStatus } from 'kubernetes-types/apps/v1.js';
import type { PodSpec, PodStatus, ServiceSpec } from 'kubernetes-types/core/v1.js';
import type { KubeObject, Resource } from '../api.ts';

/** Kubernetes' own kinds as the workload controllers and the node read them, and what both want to know of them. */

const core = (resource: string): Resource => ({ group: '', resource });
const apps = (resource: string): Resource => ({ group: 'apps', resource });

export const pods = core('pods');
export const services = core('services');
export const serviceAccounts = core('serviceaccounts');
export const nodes = core('nodes');
export const events = core('events');
export const configMaps = core('configmaps');
export const secrets = core('secrets');
export const deployments = apps('deployments');
export const replicaSets = apps('replicasets');
export const endpointSlices: Resource = { group: 'discovery.k8s.io', resource: 'endpointslices' };

type Stored<Spec, Status> = KubeObject & { readonly spec: Spec; readonly status?: Status };

export type Deployment = Stored<DeploymentSpec, DeploymentStatus>;
export type ReplicaSet = Stored<ReplicaSetSpec, ReplicaSetStatus>;
export type Service = Stored<ServiceSpec, unknown>;
export type Pod = Stored<PodSpec, PodStatus>;

/** Where a pod's ports really are, as JSON `{container: {containerPort: port on 127.0.0.1}}`. */
export const portsAnnotation = 'node.roundhouse.dev/ports';

export type PodPorts = Readonly<Record<string, Readonly<Record<string, number>>>>;

export function portsOf({ metadata }: KubeObject): PodPorts {
  return JSON.parse(metadata.annotations?.[portsAnnotation] ?? '{}');
}

/** The port on 127.0.0.1 behind a port of the pod, by number or by name; containers of a pod share their ports. */
export function resolvePort({ containers }: PodSpec, ports: PodPorts, port: number | string): number | undefined {
  const isWanted = ({ name, containerPort }: { name?: string; containerPort: number }) =>
    port === name || port === containerPort;
  const container = containers.find((one) => one.ports?.some(isWanted));
  const declared = container?.ports?.find(isWanted);
  return container && declared && ports[container.name]?.[declared.containerPort];
}

export function controllerOf({ metadata }: KubeObject) {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** The reference by which what `owner` controls names it. */
export function ownedBy({ apiVersion, kind, metadata: { name, uid = '' } }: KubeObject) {
  return [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }];
}

export function keyOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

export function isTerminal({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

type Condition = { type: string; status: string; lastTransitionTime?: string };

export function conditionOf<C extends Condition>(conditions: readonly C[] | undefined, type: string): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isReady({ status }: Pod): boolean {
  return conditionOf(status?.conditions, 'Ready')?.status === 'True';
}

/** Keeps `lastTransitionTime` while the status is the same. */
export function withTransitions<C extends Condition>(
  previous: readonly Condition[] | undefined,
  wanted: readonly C[],
  now: string,
): C[] {
  return wanted.map((condition) => {
    const before = conditionOf(previous, condition.type);
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: since ?? now };
  });
}
