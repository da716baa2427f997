import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Api, KubeObject } from '../api.ts';
import {
  endpointSlices,
  endpoints,
  isReady,
  isTerminal,
  keyOf,
  type Pod,
  pods,
  portsOf,
  resolvePort,
  type Service,
  services,
} from './kinds.ts';
import type { Reconciler } from './reconciler.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';

/** Keeps the EndpointSlices and Endpoints of services with selectors. */
export function endpointsReconciler(api: Api): Reconciler {
  return {
    name: 'endpoints',
    sources: [
      { resource: services, keysOf: (object) => [keyOf(object)] },
      // All services of the namespace: a pod whose labels changed may have left one.
      {
        resource: pods,
        keysOf: ({ metadata: { namespace } }) =>
          api.list(services, namespace === undefined ? {} : { namespace }).items.map(keyOf),
      },
    ],
    reconcile(key) {
      const [namespace, name] = key.split('/') as [string, string];
      const service = api.get(services, namespace, name) as Service | undefined;
      const selector = service?.spec.selector;
      if (service === undefined || service.metadata.deletionTimestamp !== undefined) return undefined;
      if (selector === undefined || Object.keys(selector).length === 0) return undefined;
      const behind = (api.list(pods, { namespace, labels: selector }).items as readonly Pod[])
        .filter((pod) => pod.status?.podIP !== undefined && !isTerminal(pod))
        .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      const wanted = behind.map((pod) => sliceFor(service, pod));
      const own = api.list(endpointSlices, { namespace, labels: { [serviceNameLabel]: name } }).items;
      for (const slice of wanted) apply(api, endpointSlices, slice);
      for (const { metadata } of own) {
        if (wanted.some((slice) => slice.metadata.name === metadata.name)) continue;
        api.delete(endpointSlices, namespace, metadata.name);
      }
      apply(api, endpoints, endpointsFor(service, behind));
      return undefined;
    },
  };
}

/** One slice per pod: the ports of a slice hold for all its endpoints, and on one host every pod has its own. */
function sliceFor(service: Service, pod: Pod): KubeObject {
  const { namespace, name, labels } = service.metadata;
  const suffix = createHash('sha256')
    .update(pod.metadata.uid ?? pod.metadata.name)
    .digest('hex')
    .slice(0, 8);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const conditions = { ready: isServing(service, pod), serving: isReady(pod), terminating };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${suffix}`,
      ...(namespace !== undefined && { namespace }),
      labels: {
        ...labels,
        [serviceNameLabel]: name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
      },
      ownerReferences: ownedBy(service),
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [pod.status?.podIP], conditions, nodeName: pod.spec.nodeName, targetRef: refTo(pod) }],
    ports: portsFor(service, pod),
  };
}

function endpointsFor(service: Service, behind: readonly Pod[]): KubeObject {
  const { namespace, name } = service.metadata;
  const subsets = behind.map((pod) => ({
    [isServing(service, pod) ? 'addresses' : 'notReadyAddresses']: [
      { ip: pod.status?.podIP, nodeName: pod.spec.nodeName, targetRef: refTo(pod) },
    ],
    ports: portsFor(service, pod),
  }));
  const metadata = { name, ...(namespace !== undefined && { namespace }), ownerReferences: ownedBy(service) };
  return { apiVersion: 'v1', kind: 'Endpoints', metadata, ...(subsets.length > 0 && { subsets }) };
}

function isServing({ spec }: Service, pod: Pod): boolean {
  return spec.publishNotReadyAddresses === true || (isReady(pod) && pod.metadata.deletionTimestamp === undefined);
}

function portsFor({ spec }: Service, pod: Pod) {
  return (spec.ports ?? []).flatMap(({ name = '', port, targetPort, protocol = 'TCP', appProtocol }) => {
    const actual = resolvePort(pod.spec, portsOf(pod), targetPort ?? port);
    return actual === undefined ? [] : [{ name, port: actual, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

function ownedBy({ metadata }: Service) {
  const owner = { apiVersion: 'v1', kind: 'Service', name: metadata.name, uid: metadata.uid ?? '' };
  return [{ ...owner, controller: true, blockOwnerDeletion: true }];
}

function refTo({ metadata: { namespace, name, uid } }: Pod) {
  return { kind: 'Pod', namespace, name, uid };
}

function apply(api: Api, resource: typeof endpoints, wanted: KubeObject): void {
  const { namespace, name } = wanted.metadata;
  const current = api.get(resource, namespace, name);
  if (current === undefined) {
    api.create(resource, wanted);
    return;
  }
  const { metadata: _, ...content } = wanted;
  const { metadata, ...contentNow } = current;
  // Compared as JSON: what is undefined here is absent there.
  if (isDeepStrictEqual(contentNow, JSON.parse(JSON.stringify(content)))) return;
  api.update(resource, { ...wanted, metadata: { ...metadata, ...wanted.metadata } });
}
