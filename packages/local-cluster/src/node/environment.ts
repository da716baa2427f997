import { CodedError } from '@roundhouse/base';
import type { Container, EnvVarSource } from 'kubernetes-types/core/v1.js';
import type { Api, Resource } from '../api.ts';
import { asJson } from '../json.ts';
import { configMaps, type Pod, secrets } from '../workloads/kinds.ts';
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
    const data = configMapRef
      ? loadData(deps.api, configMaps, pod, configMapRef)
      : loadData(deps.api, secrets, pod, secretRef ?? {});
    for (const [key, value] of data ?? []) env[prefix + key] = value.toString();
  }
  for (const { name, value = '', valueFrom } of container.env ?? []) {
    const found = valueFrom === undefined ? expand(value, env) : loadValue(deps.api, pod, valueFrom);
    if (found !== undefined) env[name] = found;
  }
  for (const [name, value] of Object.entries(env)) await pointAtProxy(deps, env, name, value);
  return env;
}

function loadValue(api: Api, pod: Pod, { fieldRef, configMapKeyRef, secretKeyRef }: EnvVarSource): string | undefined {
  if (fieldRef !== undefined) return fieldOf(pod, fieldRef.fieldPath);
  const ref = configMapKeyRef ?? secretKeyRef;
  const resource = configMapKeyRef ? configMaps : secrets;
  if (ref === undefined) throw new CodedError('cluster/config', 'the local cluster has no resourceFieldRef variables');
  const value = loadData(api, resource, pod, ref)?.get(ref.key);
  if (value !== undefined || ref.optional === true) return value?.toString();
  throw new CodedError('cluster/config', `key "${ref.key}" is not in ${resource.resource} "${ref.name}"`);
}

/** The content of a ConfigMap or Secret; undefined when it is missing and may be. */
export function loadData(
  api: Api,
  resource: Resource,
  { metadata }: Pod,
  { name = '', optional }: { readonly name?: string; readonly optional?: boolean },
): ReadonlyMap<string, Buffer> | undefined {
  const found = api.get(resource, metadata.namespace, name);
  if (found === undefined && optional === true) return undefined;
  if (found === undefined) throw new CodedError('cluster/config', `${resource.resource} "${name}" not found`);
  const decode = (data: unknown, encoding: 'utf8' | 'base64') =>
    Object.entries(asJson(data)).map(([key, value]) => [key, Buffer.from(String(value), encoding)] as const);
  return new Map([
    ...decode(found.data, resource === secrets ? 'base64' : 'utf8'),
    ...decode(found.binaryData, 'base64'),
  ]);
}

export const podIp = '127.0.0.1';

/** The downward API's fields. Throws `cluster/config` for those that there are not. */
function fieldOf({ metadata, spec }: Pod, path: string): string {
  const [, map, key = ''] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path) ?? [];
  if (map !== undefined) return metadata[map as 'labels' | 'annotations']?.[key] ?? '';
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': podIp,
    'status.hostIP': podIp,
  };
  if (path in fields) return fields[path] ?? '';
  throw new CodedError('cluster/config', `the local cluster has no field "${path}" of a pod to refer to`);
}

const serviceUrl = /^((?:[a-z][a-z0-9+.-]*:\/\/)?)(([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?):(\d+)(\/.*)?$/;

/** No resolver of this machine knows the names of Services. The original host stays known, for TLS. */
async function pointAtProxy(deps: EnvironmentDeps, env: Record<string, string>, name: string, value: string) {
  const [, scheme, host, service, namespace, port, rest = ''] = serviceUrl.exec(value) ?? [];
  if (host === undefined || service === undefined || namespace === undefined) return;
  env[name] = `${scheme}${await deps.serviceAddress(namespace, service, Number(port))}${rest}`;
  if (name.endsWith('_ADDRESS')) env[name.replace(/_ADDRESS$/, '_SERVER_NAME')] ??= host;
}
