import type { KubeObject } from './api.ts';
import { ageOf } from './columns.ts';
import { asJson, asList, type Json, valueAt } from './json.ts';
import type { Column } from './kinds.ts';

type Cell = Column['cell'];

const column = (name: string, cell: Cell, priority = 0, type = 'string'): Column => ({
  name,
  type,
  ...(name === 'Name' && { format: 'name' }),
  priority,
  description: '',
  cell,
});
const wide = (name: string, cell: Cell) => column(name, cell, 1);
const at = (name: string, path: string) => column(name, (object) => valueAt(object, path) ?? '<none>');
const count = (name: string, path: string) =>
  column(name, (object) => Number(valueAt(object, path) ?? 0), 0, 'integer');
const jsons = (value: unknown): Json[] => asList(value).map(asJson);

const name = column('Name', (object) => object.metadata.name);
const age = column('Age', (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs));
const containersOf = (object: KubeObject) =>
  jsons(valueAt(object, 'spec.template.spec.containers') ?? valueAt(object, 'spec.containers'));
const containers = wide('Containers', (object) =>
  containersOf(object)
    .map((item) => item.name)
    .join(','),
);
const images = wide('Images', (object) =>
  containersOf(object)
    .map((item) => item.image)
    .join(','),
);
const selectorText = (labels: unknown) =>
  Object.entries(asJson(labels))
    .map(([key, value]) => `${key}=${value}`)
    .join(',') || '<none>';
const selector = wide('Selector', (object) => selectorText(valueAt(object, 'spec.selector.matchLabels')));

/** A Pod's state in one word, as kubectl shows it. */
function podStatus(pod: KubeObject): string {
  const status = asJson(pod.status);
  let reason = String(status.reason ?? status.phase ?? 'Unknown');
  for (const { state } of jsons(status.containerStatuses).reverse()) {
    const { waiting, terminated } = asJson(state);
    const why = asJson(waiting).reason ?? asJson(terminated).reason;
    if (why) reason = String(why);
    else if (terminated) reason = `ExitCode:${asJson(terminated).exitCode}`;
  }
  if (pod.metadata.deletionTimestamp) return status.reason === 'NodeLost' ? 'Unknown' : 'Terminating';
  return reason;
}

function podRestarts(pod: KubeObject, nowMs: number): string {
  const statuses = jsons(valueAt(pod, 'status.containerStatuses'));
  const restarts = statuses.reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0);
  const last = statuses
    .map((status) => String(valueAt(status, 'lastState.terminated.finishedAt') ?? ''))
    .sort()
    .at(-1);
  return restarts > 0 && last ? `${restarts} (${ageOf(last, nowMs)} ago)` : String(restarts);
}

const podColumns: readonly Column[] = [
  name,
  column('Ready', (pod) => {
    const ready = jsons(valueAt(pod, 'status.containerStatuses')).filter((status) => status.ready === true);
    return `${ready.length}/${containersOf(pod).length}`;
  }),
  column('Status', podStatus),
  column('Restarts', podRestarts),
  age,
  wide('IP', (pod) => valueAt(pod, 'status.podIP') ?? '<none>'),
  wide('Node', (pod) => valueAt(pod, 'spec.nodeName') ?? '<none>'),
  wide('Nominated Node', (pod) => valueAt(pod, 'status.nominatedNodeName') ?? '<none>'),
  wide('Readiness Gates', () => '<none>'),
];

const servicePorts = (service: KubeObject) =>
  jsons(valueAt(service, 'spec.ports'))
    .map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol ?? 'TCP'}`)
    .join(',') || '<none>';

const endpointsText = (subsets: readonly Json[]) =>
  subsets
    .flatMap((subset) =>
      jsons(subset.addresses).flatMap(({ ip }) => jsons(subset.ports).map(({ port }) => `${ip}:${port}`)),
    )
    .slice(0, 3)
    .join(',') || '<none>';

const eventColumns: readonly Column[] = [
  column('Last Seen', (event, nowMs) =>
    ageOf(
      valueAt(event, 'series.lastObservedTime') ?? event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp,
      nowMs,
    ),
  ),
  at('Type', 'type'),
  at('Reason', 'reason'),
  column('Object', ({ involvedObject }) => {
    const { kind, name } = asJson(involvedObject);
    return `${String(kind ?? '').toLowerCase()}/${name}`;
  }),
  wide('Subobject', (event) => valueAt(event, 'involvedObject.fieldPath') ?? ''),
  wide('Source', (event) => valueAt(event, 'source.component') ?? event.reportingComponent ?? ''),
  column('Message', (event) => String(event.message ?? '').trim()),
  wide('First Seen', (event, nowMs) => ageOf(event.firstTimestamp ?? event.eventTime, nowMs)),
  wide('Count', (event) => Number(event.count ?? 1)),
  wide('Name', (event) => event.metadata.name),
];

const hpaTargets = (hpa: KubeObject) =>
  jsons(valueAt(hpa, 'spec.metrics'))
    .map((metric) => {
      const resource = asJson(metric.resource);
      const target = asJson(resource.target);
      const wanted = target.averageUtilization === undefined ? target.averageValue : `${target.averageUtilization}%`;
      return resource.name === undefined ? '<unknown>' : `${resource.name}: <unknown>/${wanted}`;
    })
    .join(', ') || '<none>';

const conditionStatus = (object: KubeObject, type: string) =>
  jsons(valueAt(object, 'status.conditions')).find((condition) => condition.type === type)?.status;

const bindingColumns: readonly Column[] = [
  name,
  column('Role', (binding) => `${valueAt(binding, 'roleRef.kind')}/${valueAt(binding, 'roleRef.name')}`),
  age,
];

/** The usual columns of built-in kinds, by the store's key; the others show name and age. */
export const builtinColumns: Readonly<Record<string, readonly Column[]>> = {
  '/namespaces': [name, at('Status', 'status.phase'), age],
  '/pods': podColumns,
  '/services': [
    name,
    at('Type', 'spec.type'),
    at('Cluster-IP', 'spec.clusterIP'),
    column('External-IP', (service) => asList(valueAt(service, 'spec.externalIPs')).join(',') || '<none>'),
    column('Port(s)', servicePorts),
    age,
    wide('Selector', (service) => selectorText(valueAt(service, 'spec.selector'))),
  ],
  '/endpoints': [name, column('Endpoints', (object) => endpointsText(jsons(object.subsets))), age],
  'discovery.k8s.io/endpointslices': [
    name,
    at('AddressType', 'addressType'),
    column(
      'Ports',
      (slice) =>
        jsons(slice.ports)
          .map(({ port }) => port)
          .join(',') || '<unset>',
    ),
    column(
      'Endpoints',
      (slice) =>
        jsons(slice.endpoints)
          .flatMap((item) => asList(item.addresses))
          .join(',') || '<unset>',
    ),
    age,
  ],
  '/configmaps': [
    name,
    column('Data', (map) => Object.keys({ ...asJson(map.data), ...asJson(map.binaryData) }).length, 0, 'integer'),
    age,
  ],
  '/secrets': [
    name,
    at('Type', 'type'),
    column('Data', (secret) => Object.keys(asJson(secret.data)).length, 0, 'integer'),
    age,
  ],
  '/events': eventColumns,
  '/nodes': [
    name,
    column('Status', (node) => (conditionStatus(node, 'Ready') === 'True' ? 'Ready' : 'NotReady')),
    column('Roles', ({ metadata }) => {
      const prefix = 'node-role.kubernetes.io/';
      const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(prefix));
      return roles.map((key) => key.slice(prefix.length)).join(',') || '<none>';
    }),
    age,
    column('Version', (node) => valueAt(node, 'status.nodeInfo.kubeletVersion') ?? ''),
  ],
  'apps/deployments': [
    name,
    column(
      'Ready',
      (object) => `${valueAt(object, 'status.readyReplicas') ?? 0}/${valueAt(object, 'spec.replicas') ?? 0}`,
    ),
    count('Up-to-date', 'status.updatedReplicas'),
    count('Available', 'status.availableReplicas'),
    age,
    containers,
    images,
    selector,
  ],
  'apps/replicasets': [
    name,
    count('Desired', 'spec.replicas'),
    count('Current', 'status.replicas'),
    count('Ready', 'status.readyReplicas'),
    age,
    containers,
    images,
    selector,
  ],
  'coordination.k8s.io/leases': [name, at('Holder', 'spec.holderIdentity'), age],
  'autoscaling/horizontalpodautoscalers': [
    name,
    column(
      'Reference',
      (hpa) => `${valueAt(hpa, 'spec.scaleTargetRef.kind')}/${valueAt(hpa, 'spec.scaleTargetRef.name')}`,
    ),
    column('Targets', hpaTargets),
    at('MinPods', 'spec.minReplicas'),
    at('MaxPods', 'spec.maxReplicas'),
    count('Replicas', 'status.currentReplicas'),
    age,
  ],
  'policy/poddisruptionbudgets': [
    name,
    column('Min Available', (budget) => valueAt(budget, 'spec.minAvailable') ?? 'N/A'),
    column('Max Unavailable', (budget) => valueAt(budget, 'spec.maxUnavailable') ?? 'N/A'),
    count('Allowed Disruptions', 'status.disruptionsAllowed'),
    age,
  ],
  'networking.k8s.io/networkpolicies': [
    name,
    column('Pod-Selector', (policy) => selectorText(valueAt(policy, 'spec.podSelector.matchLabels'))),
    age,
  ],
  'networking.k8s.io/ingresses': [
    name,
    at('Class', 'spec.ingressClassName'),
    column(
      'Hosts',
      (ingress) =>
        jsons(valueAt(ingress, 'spec.rules'))
          .map((rule) => rule.host ?? '*')
          .join(',') || '*',
    ),
    column('Address', () => ''),
    column('Ports', (ingress) => (valueAt(ingress, 'spec.tls') ? '80, 443' : '80')),
    age,
  ],
  '/serviceaccounts': [name, column('Secrets', (account) => asList(account.secrets).length, 0, 'integer'), age],
  'rbac.authorization.k8s.io/roles': [name, column('Created At', ({ metadata }) => metadata.creationTimestamp)],
  'rbac.authorization.k8s.io/clusterroles': [name, column('Created At', ({ metadata }) => metadata.creationTimestamp)],
  'rbac.authorization.k8s.io/rolebindings': bindingColumns,
  'rbac.authorization.k8s.io/clusterrolebindings': bindingColumns,
  'apiextensions.k8s.io/customresourcedefinitions': [
    name,
    column('Created At', ({ metadata }) => metadata.creationTimestamp),
  ],
};
