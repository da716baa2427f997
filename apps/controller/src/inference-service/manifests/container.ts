import { bytesOf, type Implementation, type RuntimeContainer } from '@roundhouse/crds';

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
    resources: {
      ...runtime.resources,
      ...implementation.resources,
      limits: { ...runtime.resources?.limits, ...implementation.resources?.limits },
      requests: { ...runtime.resources?.requests, ...implementation.resources?.requests },
    },
  };
  return fillTemplates(merged, metadata);
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

export type TemplateData = {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

/** KServe's templates in runtimes (`{{.Name}}`, `{{.Labels.key}}`), in strings only; other braces are left as they are. */
function fillTemplates<T>(value: T, data: TemplateData): T {
  if (typeof value === 'string') {
    return value.replaceAll(
      /\{\{\s*\.(Name|Namespace|Labels\.([\w-]+)|Annotations\.([\w-]+))\s*\}\}/g,
      (_, field, label, note) => {
        if (field === 'Name') return data.name;
        if (field === 'Namespace') return data.namespace;
        return (label === undefined ? data.annotations[note] : data.labels[label]) ?? '';
      },
    ) as T;
  }
  if (Array.isArray(value)) return value.map((item) => fillTemplates(item, data)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillTemplates(item, data)])) as T;
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
