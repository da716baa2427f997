import { wire } from '@roundhouse/control-protocol';
import { answers } from '../assignments/copy.ts';
import type { Replica } from '../assignments/replica.ts';
import type { Service } from '../assignments/service.ts';

/** Routes in the shape of the control protocol's messages. */
export type ServiceRoute = Omit<wire.ServiceRoute, '$typeName' | '$unknown'>;
export type ReplicaRoute = Omit<wire.ReplicaRoute, '$typeName' | '$unknown'>;
export type Copy = Omit<wire.Copy, '$typeName' | '$unknown'>;
export type ModelRoute = { readonly service: string; readonly name: string; readonly copies: Copy[] };

export function serviceRouteFor({ key, view }: Service): ServiceRoute | undefined {
  if (view === undefined || view.multiModel === undefined) return undefined;
  return { key, hosts: [...view.hosts], pathPrefixes: [...view.pathPrefixes], ...view.traffic };
}

export function replicaRouteFor(service: Service, { id, dataAddress, zone, draining }: Replica): ReplicaRoute {
  return { id, service: service.key, dataAddress, zone, draining };
}

/** Undefined when routers need not know of the model. One without copies is known, and answered 503 instead of 404. */
export function modelRouteFor(service: Service, name: string): ModelRoute | undefined {
  const model = service.models.get(name);
  if (model === undefined || model.deleting || service.view === undefined) return undefined;
  if (service.holdings.get(name)?.stage !== 'held') return { service: service.key, name, copies: [] };
  const copies = [...service.replicas.values()].flatMap((replica) => copyFor(replica, name) ?? []);
  return { service: service.key, name, copies };
}

const { LOAD_FAILED, DOWNLOAD_FAILED, PAGED_OUT } = wire.ModelState;

function copyFor({ id, reports }: Replica, name: string): Copy | undefined {
  const report = reports.get(name);
  const cold = { replica: id, residency: wire.Residency.COLD };
  if (report === undefined) return cold; // assigned: it will be loaded
  if (report.state === PAGED_OUT) return cold;
  if (answers(report)) return { replica: id, residency: wire.Residency.WARM };
  // To wait for a copy that failed would end in a timeout.
  return report.state === LOAD_FAILED || report.state === DOWNLOAD_FAILED ? undefined : cold;
}
