import type { wire } from '@roundhouse/control-protocol';
import { ModelTable, type RequestHead } from '@roundhouse/http-relay';
import { rendezvousOrder } from './policies/rendezvous.ts';
import type { Replica } from './replica.ts';
import { Answers, type Model, Seat, type Service, type ServiceLimits, type ServiceLoad } from './service.ts';

/** `Residency.WARM` on the wire; the enum itself would load the protocol's library before it is needed. */
const warm: wire.Residency.WARM = 1;

export type RouteTableDeps = {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly seed: number;
  /** Where this router is; empty when unknown. */
  readonly zone: string;
  /** Of services that say nothing else. */
  readonly limits: ServiceLimits;
  /** `address` is host:port. */
  openReplica(id: string, address: string): Replica;
  /** Something changed that requests of this service may wait for. */
  onChange(service: Service): void;
};

export type RouteTable = {
  /** False until the first snapshot. */
  readonly ready: boolean;
  apply(update: { readonly snapshot: boolean; readonly routes: wire.Routes }): void;
  serviceByHost(head: RequestHead): Service | undefined;
  /** By the path's first segments; `cut` is their length, 0 when no service has them. */
  serviceByPath(head: RequestHead): { readonly service: Service | undefined; readonly cut: number };
  model(service: Service, head: RequestHead): Model | undefined;
  readonly services: ReadonlyMap<string, Service>;
};

/** `/serving/<namespace>/<name>`: all prefixes have as many segments. */
const prefixSegments = 3;
const noReplicas: readonly Replica[] = [];
const noService = { service: undefined, cut: 0 } as const;
const hostSizeMax = 253;

export function createRouteTable(deps: RouteTableDeps): RouteTable {
  const services = new Map<string, Service>();
  const serviceOfReplica = new Map<string, Service>();
  const hosts = new ModelTable<Service>(deps.seed);
  const prefixes = new ModelTable<Service>(deps.seed + 1);
  const models = new ModelTable<Model>(deps.seed + 2);
  const lower = Buffer.alloc(hostSizeMax);
  /** What was asked for last, as it was written, and the answer: requests for one host come in rows. -1: nothing. */
  const lastHost = Buffer.alloc(hostSizeMax);
  let lastHostSize = -1;
  let lastHostService: Service | undefined;
  let ready = false;
  let nextId = 1;

  const resolve = (model: Model) => {
    const of = (isWanted: (residency: wire.Residency) => boolean) =>
      model.copies.flatMap(({ replica, residency }) =>
        isWanted(residency) ? (model.service.replicas.get(replica) ?? []) : [],
      );
    const had = model.warm.length + model.cold.length;
    const cold = of((residency) => residency !== warm);
    const isNear = ({ zone }: Replica) => deps.zone === '' || zone === deps.zone;
    model.warm = shared(of((residency) => residency === warm));
    model.near = shared(model.warm.filter(isNear));
    model.far = shared(model.warm.filter((replica) => !isNear(replica)));
    model.cold = shared(rendezvousOrder(model.name, cold));
    if (had > 0 && model.warm.length + model.cold.length === 0) model.lostMs = deps.now();
  };

  const resolveServer = (service: Service) => {
    service.server.copies = [...service.replicas.keys()].map((replica) => ({ replica, residency: warm }));
    resolve(service.server);
  };

  const setService = (route: wire.ServiceRoute) => {
    const service = services.get(route.key) ?? newService(route, nextId++, deps.limits);
    services.set(route.key, service);
    forget(service);
    service.route = route;
    service.limits = limitsOf(route, deps.limits);
    for (const host of route.hosts) hosts.set(0, host, service);
    for (const prefix of route.pathPrefixes) prefixes.set(0, prefix, service);
    return service;
  };

  /** Takes its hosts and prefixes away, those that it still has. */
  const forget = (service: Service) => {
    for (const host of service.route.hosts) if (hosts.get(0, host) === service) hosts.delete(0, host);
    for (const prefix of service.route.pathPrefixes) {
      if (prefixes.get(0, prefix) === service) prefixes.delete(0, prefix);
    }
  };

  const setReplica = ({ id, service: key, dataAddress, zone, draining }: wire.ReplicaRoute) => {
    const service = services.get(key);
    if (service === undefined) return undefined; // the stream sends services first
    let replica = service.replicas.get(id);
    if (replica?.address !== dataAddress || replica.zone !== zone) {
      removeReplica(id);
      replica = deps.openReplica(id, dataAddress);
      replica.zone = zone;
      service.replicas.set(id, replica);
      serviceOfReplica.set(id, service);
      for (const model of service.models.values()) {
        if (model.copies.some((copy) => copy.replica === id)) resolve(model);
      }
      resolveServer(service);
    }
    replica.draining = draining;
    return service;
  };

  const removeReplica = (id: string) => {
    const service = serviceOfReplica.get(id);
    const replica = service?.replicas.get(id);
    if (service === undefined || replica === undefined) return;
    service.replicas.delete(id);
    serviceOfReplica.delete(id);
    for (const model of service.models.values()) {
      if (model.warm.includes(replica) || model.cold.includes(replica)) resolve(model);
    }
    resolveServer(service);
    replica.retire();
  };

  const setModel = ({ service: key, name, copies }: wire.ModelRoute) => {
    const service = services.get(key);
    if (service === undefined) return undefined;
    let model = service.models.get(name);
    if (model === undefined) {
      model = newModel(service, name);
      service.models.set(name, model);
      models.set(service.id, name, model);
    }
    model.copies = copies.map(({ replica, residency }) => ({ replica, residency }));
    resolve(model);
    return service;
  };

  const removeModel = (service: Service | undefined, name: string) => {
    if (service?.models.delete(name)) models.delete(service.id, name);
  };

  const removeService = (service: Service) => {
    for (const name of service.models.keys()) models.delete(service.id, name);
    service.models.clear();
    for (const id of [...service.replicas.keys()]) removeReplica(id);
    forget(service);
    services.delete(service.key);
  };

  /** A snapshot is applied as the change that leads to it, so that connections and health survive a reconnect. */
  const removeAbsent = (routes: wire.Routes) => {
    const keys = new Set(routes.services.map(({ key }) => key));
    const ids = new Set(routes.replicas.map(({ id }) => id));
    const names = new Map<string, Set<string>>();
    for (const { service, name } of routes.models) {
      const known = names.get(service);
      if (known === undefined) names.set(service, new Set([name]));
      else known.add(name);
    }
    for (const service of [...services.values()]) {
      if (!keys.has(service.key)) {
        removeService(service);
        continue;
      }
      for (const id of [...service.replicas.keys()]) if (!ids.has(id)) removeReplica(id);
      for (const name of [...service.models.keys()]) {
        if (!names.get(service.key)?.has(name)) removeModel(service, name);
      }
    }
  };

  return {
    get ready() {
      return ready;
    },
    services,
    apply({ snapshot, routes }) {
      lastHostSize = -1;
      const changed = new Set<Service | undefined>(snapshot ? services.values() : []);
      if (snapshot) removeAbsent(routes);
      for (const route of routes.services) changed.add(setService(route));
      for (const route of routes.replicas) changed.add(setReplica(route));
      for (const route of routes.models) changed.add(setModel(route));
      for (const { service, name } of routes.removedModels) {
        removeModel(services.get(service), name);
        changed.add(services.get(service));
      }
      for (const id of routes.removedReplicas) removeReplica(id);
      for (const key of routes.removedServices) {
        const service = services.get(key);
        if (service === undefined) continue;
        removeService(service);
        changed.add(service);
      }
      ready = true;
      // Also those that are gone: who waits for them learns it.
      for (const service of changed) if (service !== undefined) deps.onChange(service);
    },
    serviceByHost({ bytes, hostStart, hostEnd }) {
      const size = hostEnd - hostStart;
      if (size === lastHostSize && isSame(lastHost, bytes, hostStart, size)) return lastHostService;
      let end = hostEnd;
      if (end > hostStart && bytes[end - 1] === 0x2e) end--; // a name may be written with the root's dot
      if (end - hostStart > hostSizeMax) return undefined;
      for (let i = hostStart; i < end; i++) {
        const byte = bytes[i]!;
        lower[i - hostStart] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      }
      const service = hosts.find(0, lower, 0, end - hostStart);
      if (size > hostSizeMax) return service; // with the dot, which is not part of the name
      for (let i = 0; i < size; i++) lastHost[i] = bytes[hostStart + i]!;
      lastHostSize = size;
      lastHostService = service;
      return service;
    },
    serviceByPath({ bytes, pathStart, pathEnd }) {
      const end = prefixEnd(bytes, pathStart, pathEnd);
      const service = prefixes.find(0, bytes, pathStart, end);
      return service === undefined ? noService : { service, cut: end - pathStart };
    },
    model: (service, { modelBytes, modelStart, modelEnd }) => models.find(service.id, modelBytes, modelStart, modelEnd),
  };
}

/** One list for all who have none or the same one: a request for one of thousands of models then touches less memory. */
function shared(replicas: readonly Replica[]): readonly Replica[] {
  return replicas.length > 1 ? replicas : (replicas[0]?.alone ?? noReplicas);
}

/** Whether the first `size` bytes of `known` are those of `bytes` from `start`. */
function isSame(known: Uint8Array, bytes: Uint8Array, start: number, size: number): boolean {
  for (let i = size - 1; i >= 0; i--) if (known[i] !== bytes[start + i]) return false;
  return true;
}

/** Behind the segments that a prefix has, or the end of the path. */
function prefixEnd(bytes: Uint8Array, start: number, end: number): number {
  let slashes = 0;
  let i = start;
  for (; i < end; i++) if (bytes[i] === 0x2f && ++slashes > prefixSegments) break;
  return i;
}

/** What the service says, and the router's own for the rest. */
function limitsOf({ limits }: wire.ServiceRoute, own: ServiceLimits): ServiceLimits {
  return {
    concurrency: limits?.concurrency || own.concurrency,
    modelConcurrency: limits?.modelConcurrency || own.modelConcurrency,
    queue: limits?.queue ?? own.queue,
    bodyBytes: limits?.bodyBytes ? Number(limits.bodyBytes) : own.bodyBytes,
    timeoutMs: limits?.timeoutMs || own.timeoutMs,
  };
}

function newService(route: wire.ServiceRoute, id: number, limits: ServiceLimits): Service {
  const load: ServiceLoad = { inFlight: 0, queued: 0, queues: new Set() };
  const service = {
    key: route.key,
    id,
    route,
    replicas: new Map(),
    models: new Map(),
    limits,
    load,
    answers: new Answers(),
  };
  return Object.assign(service, { server: newModel(service as unknown as Service, '') });
}

function newModel(service: Service, name: string): Model {
  const model = { service, name, copies: [], warm: [], near: [], far: [], cold: [], lostMs: undefined };
  return Object.assign(model, { seat: new Seat(model as unknown as Model) });
}
