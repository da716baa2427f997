import { CodedError } from '@roundhouse/base';
import type { Api, Resource } from '../api.ts';
import { type Container, configMaps, type KeyRef, type ObjectRef, type Pod, secrets } from '../workloads/kinds.ts';
import { expand } from './images.ts';

export type EnvironmentDeps = {
  readonly api: Api;
  /** The address of the service proxy for a port of a Service. */
  serviceAddress(namespace: string, service: string, port: number): Promise<string>;
};

/** All of a container's variables. Throws `cluster/config` when something that is not optional is missing. */
export async function environmentFor(deps: EnvironmentDeps, pod: Pod, container: Container) {
  const env: Record<string, string> = {};
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const data =
      configMapRef !== undefined
        ? loadData(deps.api, configMaps, pod, configMapRef)
        : loadData(deps.api, secrets, pod, secretRef ?? { name: '' });
    for (const [key, value] of data ?? []) env[prefix + key] = value.toString();
  }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const found = valueFrom === undefined ? expand(value ?? '', env) : loadValue(deps.api, pod, valueFrom);
    if (found !== undefined) env[name] = found;
  }
  for (const [name, value] of Object.entries(env)) await pointAtProxy(deps, env, name, value);
  return env;
}

type ValueFrom = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>;

function loadValue(api: Api, pod: Pod, { fieldRef, configMapKeyRef, secretKeyRef }: ValueFrom): string | undefined {
  if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath);
  if (configMapKeyRef !== undefined) return loadKey(api, configMaps, pod, configMapKeyRef);
  if (secretKeyRef !== undefined) return loadKey(api, secrets, pod, secretKeyRef);
  throw new CodedError('cluster/config', 'the local cluster has no resourceFieldRef variables');
}

function loadKey(api: Api, resource: Resource, pod: Pod, ref: KeyRef): string | undefined {
  const value = loadData(api, resource, pod, ref)?.get(ref.key);
  if (value !== undefined || ref.optional === true) return value?.toString();
  throw new CodedError('cluster/config', `key "${ref.key}" is not in ${resource.resource} "${ref.name}"`);
}

/** The content of a ConfigMap or Secret; undefined when it is missing and may be. */
export function loadData(
  api: Api,
  resource: Resource,
  pod: Pod,
  { name, optional }: ObjectRef,
): ReadonlyMap<string, Buffer> | undefined {
  const found = api.get(resource, pod.metadata.namespace, name);
  if (found === undefined) {
    if (optional === true) return undefined;
    throw new CodedError('cluster/config', `${resource.resource} "${name}" not found`);
  }
  const { data = {}, binaryData = {} } = found as {
    data?: Record<string, string>;
    binaryData?: Record<string, string>;
  };
  const dataEncoding = resource === secrets ? 'base64' : 'utf8';
  return new Map([
    ...Object.entries(data).map(([key, value]) => [key, Buffer.from(value, dataEncoding)] as const),
    ...Object.entries(binaryData).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
  ]);
}

export const podIp = '127.0.0.1';

/** The downward API's fields. Throws `cluster/config` for one that Kubernetes does not have either. */
export function fieldOf({ metadata, spec }: Pod, path: string): string {
  const key = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (key !== null) return metadata[key[1] as 'labels' | 'annotations']?.[key[2] as string] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return quotedLines(metadata.labels);
    case 'metadata.annotations':
      return quotedLines(metadata.annotations);
    case 'spec.nodeName':
      return spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? '';
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return podIp;
  }
  throw new CodedError('cluster/config', `pods have no field "${path}" to refer to`);
}

function quotedLines(values: Readonly<Record<string, string>> = {}): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort()
    .join('\n');
}

const serviceUrl = /^((?:[a-z][a-z0-9+.-]*:\/\/)?)(([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?):(\d+)(\/.*)?$/;

/** No resolver of this machine knows the names of Services. The original host stays known, for TLS. */
async function pointAtProxy(deps: EnvironmentDeps, env: Record<string, string>, name: string, value: string) {
  const [, scheme, host, service, namespace, port, rest = ''] = serviceUrl.exec(value) ?? [];
  if (host === undefined || service === undefined || namespace === undefined) return;
  env[name] = `${scheme}${await deps.serviceAddress(namespace, service, Number(port))}${rest}`;
  if (name.endsWith('_ADDRESS')) env[name.replace(/_ADDRESS$/, '_SERVER_NAME')] ??= host;
}
