import { createHash } from 'node:crypto';
import type { EndpointSlice as Slice } from 'kubernetes-types/discovery/v1.js';
import type { Api, KubeObject } from '../api.ts';
import { copyOf, same } from '../json.ts';
import {
  endpointSlices,
  isReady,
  isTerminal,
  keyOf,
  ownedBy,
  type Pod,
  pods,
  portsOf,
  resolvePort,
  type Service,
  services,
} from './kinds.ts';
import type { Reconciler } from './reconciler.ts';

export type EndpointSlice = KubeObject & Pick<Slice, 'endpoints' | 'ports' | 'addressType'>;

export const serviceNameLabel = 'kubernetes.io/service-name';

/** Keeps the EndpointSlices of services with selectors. */
export function endpointsReconciler(api: Api): Reconciler {
  return {
    name: 'endpoints',
    sources: [
      { resource: services, keysOf: (object) => [keyOf(object)] },
      // All services of the namespace: a pod whose labels changed may have left one.
      {
        resource: pods,
        keysOf: ({ metadata: { namespace = '' } }) => api.list(services, { namespace }).items.map(keyOf),
      },
    ],
    reconcile(namespace, name) {
      const service = api.get(services, namespace, name) as Service | undefined;
      const labels = service?.spec.selector ?? {};
      if (service?.metadata.deletionTimestamp !== undefined || Object.keys(labels).length === 0) return undefined;
      const behind = (api.list(pods, { namespace, labels }).items as readonly Pod[]).filter(
        (pod) => pod.status?.podIP !== undefined && !isTerminal(pod),
      );
      const wanted = behind.map((pod) => sliceFor(service as Service, pod));
      const names = wanted.map(({ metadata }) => metadata.name);
      const own = api.list(endpointSlices, { namespace, labels: { [serviceNameLabel]: name } }).items;
      for (const slice of wanted) apply(api, slice);
      for (const { metadata } of own) {
        if (!names.includes(metadata.name)) api.delete(endpointSlices, namespace, metadata.name);
      }
      return undefined;
    },
  };
}

/** One slice per pod: the ports of a slice hold for all its endpoints, and on one host every pod has its own. */
function sliceFor(service: Service, pod: Pod): EndpointSlice {
  const { namespace = '', name, labels } = service.metadata;
  const { metadata, spec, status } = pod;
  const suffix = createHash('sha256').update(String(metadata.uid)).digest('hex').slice(0, 8);
  const isEnding = metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (isReady(pod) && !isEnding);
  const targetRef = { kind: 'Pod', namespace, name: metadata.name, uid: metadata.uid ?? '' };
  const endpoint = {
    addresses: [status?.podIP ?? ''],
    conditions: { ready, serving: isReady(pod), terminating: isEnding },
    nodeName: spec.nodeName ?? '',
    targetRef,
  };
  const own = { ...labels, [serviceNameLabel]: name };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-${suffix}`, namespace, labels: own, ownerReferences: ownedBy(service) },
    addressType: 'IPv4',
    endpoints: [endpoint],
    ports: (service.spec.ports ?? []).flatMap(({ name: portName = '', port, targetPort, protocol = 'TCP' }) => {
      const actual = resolvePort(spec, portsOf(pod), targetPort ?? port);
      return actual === undefined ? [] : [{ name: portName, port: actual, protocol }];
    }),
  };
}

function apply(api: Api, wanted: KubeObject): void {
  const { namespace, name } = wanted.metadata;
  const current = api.get(endpointSlices, namespace, name);
  if (current === undefined) api.create(endpointSlices, wanted);
  else if (!same(copyOf({ ...wanted, metadata: current.metadata }), current)) {
    api.update(endpointSlices, { ...wanted, metadata: { ...current.metadata, ...wanted.metadata } });
  }
}
