import { bytesOf, type Implementation, parseQuantity, type RuntimeContainer } from '@roundhouse/crds';
import { fillTemplates, type TemplateData } from '../template.ts';

/** A container of a Pod, with the fields that we touch. */
export type Container = RuntimeContainer;

/** Fields of an implementation that are KServe's, not the container's. */
const notOfContainer: ReadonlySet<string> = new Set([
  'storageUri',
  'runtimeVersion',
  'protocolVersion',
  'storage',
  'confidential',
  'modelFormat',
  'runtime',
  'name',
]);

/** The runtime's server container with the service's fields laid over it: lists are joined, the rest is replaced. */
export function serverContainer(runtime: Container, implementation: Implementation, metadata: TemplateData): Container {
  const own = Object.fromEntries(Object.entries(implementation).filter(([key]) => !notOfContainer.has(key)));
  const image = own.image ?? runtime.image;
  const merged: Container = {
    ...runtime,
    ...own,
    name: runtime.name,
    ...(typeof image === 'string' ? { image: withVersion(image, implementation.runtimeVersion) } : {}),
    args: [...(runtime.args ?? []), ...(implementation.args ?? [])],
    env: byKey('name', runtime.env, implementation.env),
    volumeMounts: byKey('mountPath', runtime.volumeMounts, own.volumeMounts),
    resources: mergedResources(runtime.resources, implementation.resources),
  };
  return fillTemplates(merged, metadata);
}

type Resources = NonNullable<Container['resources']>;

/** The service's amounts over the runtime's; a limit that is set lower than what the runtime asks for lowers that too. */
function mergedResources(runtime: Resources = {}, own: Resources = {}): Resources {
  const limits = { ...runtime.limits, ...own.limits };
  const asked = Object.entries(runtime.requests ?? {}).map(([name, amount]) => {
    const limit = limits[name];
    return [name, limit !== undefined && isMore(amount, limit) ? limit : amount];
  });
  return { ...runtime, ...own, limits, requests: { ...Object.fromEntries(asked), ...own.requests } };
}

function isMore(a: string | number, b: string | number): boolean {
  return (parseQuantity(a)?.nanos ?? 0n) > (parseQuantity(b)?.nanos ?? 0n);
}

type Item = Readonly<Record<string, unknown>>;

/** Items of both lists; of two with the same `key` the later holds. */
export function byKey(key: string, ...lists: readonly unknown[]): Item[] {
  const items = lists.flatMap((list) => (Array.isArray(list) ? (list as Item[]) : []));
  return [...new Map(items.map((item) => [item[key], item])).values()];
}

function withVersion(image: string, version: string | undefined): string {
  if (version === undefined || image.includes('@')) return image;
  const tag = /:[^/:]+$/.exec(image);
  return `${tag === null ? image : image.slice(0, tag.index)}:${version}`;
}

/** Cores and memory that a container asks for and may take. */
export type Amounts = {
  readonly cpuRequest?: string | undefined;
  readonly cpuLimit?: string | undefined;
  readonly memoryRequest?: string | undefined;
  readonly memoryLimit?: string | undefined;
};

/** Namespaces with a quota take no container without requests and limits. What is given in any form is left as it is. */
export function withResources(
  container: Container,
  { cpuRequest, cpuLimit, memoryRequest, memoryLimit }: Amounts,
): Container {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const missing = (name: string) => requests[name] === undefined && limits[name] === undefined;
  const filled = (cpu: string | undefined, memory: string | undefined) => ({
    ...(missing('cpu') && cpu ? { cpu } : {}),
    ...(missing('memory') && memory ? { memory } : {}),
  });
  return {
    ...container,
    resources: {
      ...container.resources,
      limits: { ...filled(cpuLimit, memoryLimit), ...limits },
      requests: { ...filled(cpuRequest, memoryRequest), ...requests },
    },
  };
}

/** What Pod Security's profile `restricted` asks of a container; each of it may be given otherwise. */
export function restricted(container: Container): Container {
  const given = container.securityContext as object | undefined;
  return {
    ...container,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
      ...given,
    },
  };
}

type Port = { readonly name?: string; readonly containerPort?: number };

const portsOf = ({ ports }: Container) => (Array.isArray(ports) ? (ports as readonly Port[]) : []);
/** KServe's convention: its servers take gRPC there, and others name the port so. */
const isGrpc = ({ name = '', containerPort }: Port) => containerPort === 9000 || /grpc|h2c/.test(name);

/** Where the server takes HTTP: its first port that is not for gRPC. */
export function httpPortOf(container: Container): number {
  return portsOf(container).find((port) => !isGrpc(port))?.containerPort ?? 8080;
}

/** Where the server takes gRPC; undefined when it declares no such port. */
export function grpcPortOf(container: Container): number | undefined {
  return portsOf(container).find(isGrpc)?.containerPort;
}

const reserveShare = 0.1;
/** The server itself needs this much, however small its limit. */
const reserveBytesMin = 64 * 2 ** 20;

/** Bytes that models may take on one replica; undefined when the container has no memory limit. */
export function modelMemoryBytes(container: Container): number | undefined {
  const limit = bytesOf(container.resources?.limits?.memory);
  if (limit === undefined) return undefined;
  return Math.max(0, limit - Math.max(reserveBytesMin, Math.ceil(limit * reserveShare)));
}
