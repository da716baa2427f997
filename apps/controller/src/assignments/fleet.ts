import type { Clock } from '@roundhouse/base';
import { planPlacement } from '@roundhouse/placement';
import type { ServiceView } from '../inference-service/view.ts';
import type { RouteChanges } from '../routes/changes.ts';
import { copyFor } from './copy.ts';
import { type Model, ownModelFor } from './model.ts';
import type { Replica } from './replica.ts';
import type { Holding, Service } from './service.ts';

export type FleetDeps = {
  readonly clock: Clock;
  readonly routes: RouteChanges;
  /** Something about the model changed that its status shows. `urgent`: a person waits for it. */
  readonly onStatus: (key: string, urgent: boolean) => void;
  /** The same of the service's own model. */
  readonly onOwn: (service: Service) => void;
  /** The set of models of the service changed, or one of them did. */
  readonly onModels: (service: Service, model: string) => void;
  /** Nothing holds the model any more. */
  readonly onReleased: (key: string) => void;
};

export type Fleet = ReturnType<typeof createFleet>;

/** Routers that do not answer in this time are as good as gone: removal goes on. */
const routersTimeoutMs = 2_000;
/** A replica that does not say in this time that it unloaded is not waited for. Above the agents' own drain deadline. */
const unloadTimeoutMs = 45_000;

/**
 * Services, models and replicas in memory, and what follows from a change of any of them: admission, assignments, routes.
 * Everything happens at once and costs as much as the change; the API server learns of it later.
 */
export function createFleet({ clock, routes, onStatus, onOwn, onModels, onReleased }: FleetDeps) {
  const services = new Map<string, Service>();
  const models = new Map<string, Model>();

  const serviceOf = (namespace: string, name: string) => {
    const key = `${namespace}/${name}`;
    const known = services.get(key);
    if (known !== undefined) return known;
    const service: Service = {
      key,
      namespace,
      name,
      view: undefined,
      models: new Map(),
      holdings: new Map(),
      replicas: new Map(),
      heldBytes: 0,
      heldGpuBytes: 0,
      waiting: new Set(),
    };
    services.set(key, service);
    return service;
  };

  const forgetIfEmpty = (service: Service) => {
    const { view, models: own, holdings, replicas } = service;
    if (view === undefined && own.size + holdings.size + replicas.size === 0) services.delete(service.key);
  };

  const tell = (service: Service, model: Model, urgent: boolean) =>
    model.own ? onOwn(service) : onStatus(model.key, urgent);

  const assess = (service: Service, model: Model) => {
    const holding = service.holdings.get(model.name);
    if (!eligible(service, model)) {
      service.waiting.delete(model.name);
      if (holding?.stage === 'held') withdraw(service, holding);
    } else if (holding !== undefined) rehold(service, holding, model);
    else if (fits(service, model)) hold(service, model);
    else service.waiting.add(model.name);
    routes.model(service, model.name);
    tell(service, model, model.deleting);
  };

  const hold = (service: Service, model: Model) => {
    service.waiting.delete(model.name);
    service.holdings.set(model.name, { model, stage: 'held' });
    take(service, model, 1);
    for (const { session } of service.replicas.values()) session?.assign([model.assignment], []);
    onModels(service, model.name);
  };

  /** A held model may have changed; one that was on its way out may be wanted again. */
  const rehold = (service: Service, holding: Holding, model: Model) => {
    const same = holding.stage === 'held' && holding.model.assignment.digest === model.assignment.digest;
    take(service, holding.model, -1);
    take(service, model, 1);
    holding.model = model;
    holding.stage = 'held';
    if (same) return;
    for (const { session } of service.replicas.values()) session?.assign([model.assignment], []);
    onModels(service, model.name);
  };

  /** Routers first, then replicas: no request finds the model gone. */
  const withdraw = (service: Service, holding: Holding) => {
    const { name } = holding.model;
    holding.stage = 'leaving';
    onModels(service, name);
    routes.model(service, name);
    void routes.settled(routersTimeoutMs).then(() => {
      if (holding.stage !== 'leaving' || service.holdings.get(name) !== holding) return;
      holding.stage = 'revoked';
      for (const { session } of service.replicas.values()) session?.assign([], [name]);
      clock.after(unloadTimeoutMs, () => {
        if (holding.stage === 'revoked') release(service, holding);
      });
      releaseIfGone(service, holding);
    });
  };

  const releaseIfGone = (service: Service, holding: Holding) => {
    if (holding.stage !== 'revoked') return;
    for (const { reports } of service.replicas.values()) if (reports.has(holding.model.name)) return;
    release(service, holding);
  };

  const release = (service: Service, holding: Holding) => {
    const { model } = holding;
    if (service.holdings.get(model.name) !== holding) return;
    service.holdings.delete(model.name);
    take(service, model, -1);
    onReleased(model.key);
    admitWaiting(service);
    const current = service.models.get(model.name);
    if (current !== undefined) assess(service, current);
    forgetIfEmpty(service);
  };

  /** Room came free: the oldest that fit get it. */
  const admitWaiting = (service: Service) => {
    if (service.waiting.size === 0) return;
    const waiting = [...service.waiting].flatMap((name) => service.models.get(name) ?? []);
    const { placed } = planPlacement(
      { memoryBytes: freeBytes(service), gpuBytes: freeGpuBytes(service) },
      waiting.map((model) => ({ ...model, held: false })),
    );
    for (const model of waiting) if (placed.has(model.name)) assess(service, model);
    for (const name of service.waiting) onStatus(`${service.namespace}/${name}`, false);
  };

  /** The service itself changed: all of its models are looked at again. */
  const replan = (service: Service) => {
    const candidates = [...service.models.values()].filter((model) => eligible(service, model));
    const { placed } = planPlacement(
      { memoryBytes: service.view?.capacityBytes, gpuBytes: service.view?.gpuCapacityBytes },
      candidates.map((model) => ({ ...model, held: isHeld(service, model) })),
    );
    for (const name of placed) {
      const model = service.models.get(name);
      if (model !== undefined) assess(service, model);
    }
    for (const model of service.models.values()) {
      if (placed.has(model.name)) continue;
      if (eligible(service, model)) makeWait(service, model);
      else assess(service, model);
    }
  };

  /** A shrunken service lets its youngest go; the others stay. */
  const makeWait = (service: Service, model: Model) => {
    const holding = service.holdings.get(model.name);
    if (holding?.stage === 'held') withdraw(service, holding);
    service.waiting.add(model.name);
    routes.model(service, model.name);
    onStatus(model.key, false);
  };

  const copiesOf = (service: Service, name: string) => {
    const holding = service.holdings.get(name);
    if (holding === undefined) return [];
    return [...service.replicas.values()]
      .filter(({ draining }) => !draining)
      .map(({ pod, reports }) => copyFor(pod, reports.get(name), holding.model.assignment.digest));
  };

  /** A model is no longer its service's. */
  const part = (model: Model) => {
    const service = serviceOf(model.namespace, model.parent);
    if (service.models.get(model.name)?.own !== model.own) return;
    service.models.delete(model.name);
    service.waiting.delete(model.name);
    const holding = service.holdings.get(model.name);
    if (holding?.stage === 'held') withdraw(service, holding);
    routes.model(service, model.name);
    forgetIfEmpty(service);
  };

  /** The service's own model comes, changes or goes. A TrainedModel of its name waits behind it. */
  const setOwn = (service: Service) => {
    const { view, namespace, name, key } = service;
    const before = service.models.get(name);
    if (view?.own === undefined) {
      if (before?.own !== true) return;
      part(before);
      const behind = models.get(key);
      if (behind?.parent !== name) return;
      service.models.set(name, behind);
      return assess(service, behind);
    }
    const model = ownModelFor(namespace, name, { ...view, own: view.own });
    if (before?.own === true && before.assignment.digest === model.assignment.digest) return;
    service.models.set(name, model);
    assess(service, model);
    if (before?.own === false) onStatus(key, true);
  };

  /** One replica said something new about one model. */
  const reported = (service: Service, name: string) => {
    const holding = service.holdings.get(name);
    if (holding !== undefined) releaseIfGone(service, holding);
    routes.model(service, name);
    const model = service.models.get(name);
    if (model === undefined) return;
    tell(
      service,
      model,
      copiesOf(service, name).some(({ stage }) => stage === 'loaded' || stage === 'failed'),
    );
  };

  return {
    services: services as ReadonlyMap<string, Service>,
    models: models as ReadonlyMap<string, Model>,
    serviceOf,
    freeBytes,
    freeGpuBytes,
    copiesOf,

    /** `model` undefined: the object is gone. */
    setModel(key: string, model: Model | undefined) {
      const before = models.get(key);
      if (before !== undefined && before.parent !== model?.parent) part(before);
      if (model === undefined) return void models.delete(key);
      models.set(key, model);
      const service = serviceOf(model.namespace, model.parent);
      // A service's own model has the name already.
      if (service.models.get(model.name)?.own === true) return onStatus(key, model.deleting);
      service.models.set(model.name, model);
      assess(service, model);
    },

    /** `view` undefined: there is no such InferenceService. */
    setService(namespace: string, name: string, view: ServiceView | undefined) {
      const service = serviceOf(namespace, name);
      const before = service.view;
      service.view = view;
      routes.service(service);
      setOwn(service);
      if (before?.planning !== view?.planning) replan(service);
      else if (before?.ready !== view?.ready || before?.url !== view?.url || before?.replicas !== view?.replicas) {
        for (const model of service.models.values()) tell(service, model, true);
      }
      forgetIfEmpty(service);
    },

    /** A replica's stream is up and its full report is in. */
    attach(replica: Replica) {
      const service = serviceOf(replica.namespace, replica.service);
      service.replicas.set(replica.id, replica);
      replica.session?.replaceAssignment(
        [...service.holdings.values()].flatMap(({ stage, model }) => (stage === 'revoked' ? [] : [model.assignment])),
      );
      routes.replica(service, replica);
      for (const name of new Set([...service.holdings.keys(), ...replica.reports.keys()])) reported(service, name);
    },

    reported,

    /** It takes no new requests any more. */
    drain(replica: Replica) {
      if (replica.draining) return;
      replica.draining = true;
      const service = serviceOf(replica.namespace, replica.service);
      routes.replica(service, replica);
      for (const name of service.holdings.keys()) reported(service, name);
    },

    /** Its pod is gone, and what it held with it. */
    remove(service: Service, id: string) {
      const replica = service.replicas.get(id);
      if (replica === undefined) return;
      service.replicas.delete(id);
      routes.removeReplica(service, id);
      for (const name of service.holdings.keys()) reported(service, name);
      forgetIfEmpty(service);
    },
  };
}

function eligible({ view }: Service, model: Model): boolean {
  if (model.own) return true;
  const isSound = !model.deleting && model.problems.length === 0;
  return isSound && view?.multiModel === true && view.supports(model.assignment.framework);
}

function freeBytes({ view, heldBytes }: Service): number {
  return (view?.capacityBytes ?? Number.POSITIVE_INFINITY) - heldBytes;
}

function isHeld(service: Service, { name, allocated }: Model): boolean {
  const holding = service.holdings.get(name);
  // At start nothing is held in memory yet, and the label says who was.
  return holding === undefined ? allocated : holding.stage === 'held';
}

function freeGpuBytes({ view, heldGpuBytes }: Service): number {
  return (view?.gpuCapacityBytes ?? Number.POSITIVE_INFINITY) - heldGpuBytes;
}

function fits(service: Service, { memoryBytes, gpuBytes }: Model): boolean {
  return memoryBytes <= freeBytes(service) && gpuBytes <= freeGpuBytes(service);
}

/** Counts what a model takes on each replica, or gives back. */
function take(service: Service, { memoryBytes, gpuBytes }: Model, sign: 1 | -1): void {
  service.heldBytes += sign * memoryBytes;
  service.heldGpuBytes += sign * gpuBytes;
}
