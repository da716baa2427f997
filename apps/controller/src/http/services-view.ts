import { wire } from '@roundhouse/control-protocol';
import { copyFor } from '../assignments/copy.ts';
import type { Fleet } from '../assignments/fleet.ts';
import type { Replica } from '../assignments/replica.ts';
import type { Service } from '../assignments/service.ts';

/** All services as the read-only API shows them, sorted by namespace and name. */
export function servicesView({ services, copiesOf, freeBytes }: Pick<Fleet, 'services' | 'copiesOf' | 'freeBytes'>) {
  return [...services.values()]
    .filter(({ view }) => view !== undefined)
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((service) => {
      const { namespace, name, view, replicas, models, waiting } = service;
      const free = freeBytes(service);
      return {
        namespace,
        name,
        ready: view?.ready ?? false,
        hosts: view?.hosts ?? [],
        pathPrefix: view?.pathPrefixes[0] ?? '',
        url: view?.url ?? '',
        protocol: view?.protocol ?? 'v1',
        capacityBytes: view?.capacityBytes,
        freeBytes: Number.isFinite(free) ? free : undefined,
        replicas: [...replicas.values()].map((replica) => replicaView(service, replica)),
        models: [...models.keys()].sort().map((model) => {
          const copies = copiesOf(service, model);
          return {
            name: model,
            state: waiting.has(model) ? 'waiting' : copies.some((copy) => copy.answers) ? 'ready' : 'pending',
            loaded: copies.filter((copy) => copy.answers && copy.current).length,
            desired: service.holdings.get(model)?.stage === 'held' ? (view?.replicas ?? 0) : 0,
            failed: copies.filter(({ failure }) => failure !== undefined).length,
            ...trafficOf([...replicas.values()], model),
          };
        }),
        ...trafficOf([...replicas.values()]),
      };
    });
}

function replicaView(service: Service, replica: Replica) {
  const { pod, dataAddress, serverReady, session, draining, memoryBytes, reports } = replica;
  const models = [...reports.values()].map((report) => {
    const wanted = service.holdings.get(report.name)?.model.assignment.digest ?? '';
    const { stage, answers, current, failure } = copyFor(pod, report, wanted);
    const state = wire.ModelState[report.state].toLowerCase().replaceAll('_', '-');
    return [report.name, { state, stage, answers, current, memoryBytes: Number(report.memoryBytes), failure }] as const;
  });
  return {
    pod,
    dataAddress,
    ready: serverReady && session !== undefined && !draining,
    connected: session !== undefined,
    draining,
    memoryBytes,
    models: Object.fromEntries(models),
  };
}

/** Requests since the replicas connected; of one model or of all. */
function trafficOf(replicas: readonly Replica[], model?: string) {
  const counts = replicas.flatMap(({ traffic }) =>
    model === undefined ? [...traffic.values()] : (traffic.get(model) ?? []),
  );
  return {
    requests: counts.reduce((sum, { requests }) => sum + requests, 0),
    errors: counts.reduce((sum, { errors }) => sum + errors, 0),
  };
}
