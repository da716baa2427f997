import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Clock } from '@roundhouse/base';
import { chunksOf } from './chunks.ts';
import type { ModelRouteSchema, ReplicaRouteSchema, RoutesSchema, ServiceRouteSchema } from './gen/control_pb.js';
import type { RouterSession } from './router-session.ts';
import { createStateSender, type StateSender } from './state-stream.ts';

type ServiceFields = Omit<MessageInitShape<typeof ServiceRouteSchema>, '$typeName'> & { readonly key: string };
type ReplicaFields = Omit<MessageInitShape<typeof ReplicaRouteSchema>, '$typeName'> & {
  readonly id: string;
  readonly service: string;
};
type ModelFields = Omit<MessageInitShape<typeof ModelRouteSchema>, '$typeName'> & {
  readonly service: string;
  readonly name: string;
};
type Part = Omit<MessageInitShape<typeof RoutesSchema>, '$typeName' | 'revision'>;

/** A change of the route table; it takes effect in this order. */
export type RouteChange = {
  readonly services?: readonly ServiceFields[];
  readonly replicas?: readonly ReplicaFields[];
  readonly models?: readonly ModelFields[];
  /** Their replicas and models go with them. */
  readonly removedServices?: readonly string[];
  readonly removedReplicas?: readonly string[];
  readonly removedModels?: readonly { readonly service: string; readonly name: string }[];
};

/** The route table that all routers follow. It outlives their connections. */
export type RouteBoard = {
  publish(change: RouteChange): void;
  /** Sends a router the table and every change from now on. */
  attach(session: RouterSession): void;
  /**
   * True once every attached router has acknowledged all that was published before; a router that goes away counts as
   * settled. False when that took longer than `timeoutMs`.
   */
  settled(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
};

/**
 * What changed since a router was last sent something. A model's entry keeps its key in parts, since names may hold
 * anything.
 */
type Pending = {
  readonly services: Set<string>;
  readonly replicas: Set<string>;
  readonly models: Map<string, Set<string>>;
};

type Attached = { readonly sender: StateSender; readonly pending: Pending };

export function createRouteBoard({ clock }: { readonly clock: Clock }): RouteBoard {
  const services = new Map<string, ServiceFields>();
  const replicas = new Map<string, ReplicaFields>();
  const models = new Map<string, Map<string, ModelFields>>();
  const routers = new Set<Attached>();
  const waiting = new Set<() => void>();
  let published = 0;
  let flushing = false;

  const check = () => {
    for (const evaluate of waiting) evaluate();
  };

  const touch = (kind: 'services' | 'replicas', key: string) => {
    for (const { pending } of routers) pending[kind].add(key);
  };
  const touchModel = (service: string, name: string) => {
    for (const { pending } of routers) {
      const names = pending.models.get(service);
      if (names === undefined) pending.models.set(service, new Set([name]));
      else names.add(name);
    }
  };

  const removeReplica = (id: string) => {
    if (replicas.delete(id)) touch('replicas', id);
  };
  const removeModel = (service: string, name: string) => {
    const ofService = models.get(service);
    if (ofService?.delete(name)) touchModel(service, name);
    if (ofService?.size === 0) models.delete(service);
  };
  const removeService = (key: string) => {
    for (const replica of replicas.values()) if (replica.service === key) removeReplica(replica.id);
    for (const name of models.get(key)?.keys() ?? []) removeModel(key, name);
    if (services.delete(key)) touch('services', key);
  };

  const apply = (change: RouteChange) => {
    for (const service of change.services ?? []) {
      services.set(service.key, service);
      touch('services', service.key);
    }
    for (const replica of change.replicas ?? []) {
      replicas.set(replica.id, replica);
      touch('replicas', replica.id);
    }
    for (const model of change.models ?? []) {
      const ofService = models.get(model.service);
      if (ofService === undefined) models.set(model.service, new Map([[model.name, model]]));
      else ofService.set(model.name, model);
      touchModel(model.service, model.name);
    }
    for (const key of change.removedServices ?? []) removeService(key);
    for (const id of change.removedReplicas ?? []) removeReplica(id);
    for (const { service, name } of change.removedModels ?? []) removeModel(service, name);
  };

  const snapshot = (pending: Pending): Part[] => {
    pending.services.clear();
    pending.replicas.clear();
    pending.models.clear();
    const parts = [
      ...parted([...services.values()], (part) => ({ services: part })),
      ...parted([...replicas.values()], (part) => ({ replicas: part })),
      ...parted(
        [...models.values()].flatMap((ofService) => [...ofService.values()]),
        (part) => ({ models: part }),
      ),
    ];
    return parts.length > 0 ? parts : [{}];
  };

  const delta = (pending: Pending): Part[] => {
    const keys = [...pending.services];
    const ids = [...pending.replicas];
    const names = [...pending.models].flatMap(([service, set]) => [...set].map((name) => ({ service, name })));
    pending.services.clear();
    pending.replicas.clear();
    pending.models.clear();
    const isGone = ({ service, name }: { service: string; name: string }) => !models.get(service)?.has(name);
    const present = names.flatMap(({ service, name }) => models.get(service)?.get(name) ?? []);
    const goneServices = keys.filter((key) => !services.has(key));
    return [
      // First and alone: removals take effect last within a message, and would take along what was added under that key since.
      ...parted(goneServices, (part) => ({ removedServices: part })),
      ...joinedWhenSmall([
        ...parted(
          keys.flatMap((key) => services.get(key) ?? []),
          (part) => ({ services: part }),
        ),
        ...parted(
          ids.flatMap((id) => replicas.get(id) ?? []),
          (part) => ({ replicas: part }),
        ),
        ...parted(present, (part) => ({ models: part })),
        ...parted(
          ids.filter((id) => !replicas.has(id)),
          (part) => ({ removedReplicas: part }),
        ),
        ...parted(names.filter(isGone), (part) => ({ removedModels: part })),
      ]),
    ];
  };

  const flush = () => {
    if (flushing) return;
    flushing = true;
    setImmediate(() => {
      flushing = false;
      for (const { sender } of routers) sender.pump();
      check();
    });
  };

  return {
    publish(change) {
      apply(change);
      published++;
      flush();
    },
    attach(session) {
      const pending: Pending = { services: new Set(), replicas: new Set(), models: new Map() };
      const sender = createStateSender<Part>({
        write: (revision, part) => session.write({ revision, ...part }),
        snapshot: () => snapshot(pending),
        delta: () => delta(pending),
        mark: () => published,
      });
      const router = { sender, pending };
      routers.add(router);
      session.onAcknowledge((revision) => {
        sender.acknowledge(revision);
        check();
      });
      session.onResync(() => sender.restart());
      session.onDrain(() => sender.drained());
      session.onClose(() => {
        routers.delete(router);
        check();
      });
      sender.pump();
    },
    settled(timeoutMs, signal) {
      const target = published;
      const isSettled = () => [...routers].every(({ sender }) => (sender.acknowledgedMark ?? -1) >= target);
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        if (isSettled()) return resolve(true);
        const leave = (then: () => void) => {
          waiting.delete(evaluate);
          cancel();
          signal.removeEventListener('abort', onAbort);
          then();
        };
        const evaluate = () => isSettled() && leave(() => resolve(true));
        const onAbort = () => leave(() => reject(signal.reason));
        const cancel = clock.after(timeoutMs, () => leave(() => resolve(false)));
        waiting.add(evaluate);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}

function parted<T>(items: T[], partOf: (items: T[]) => Part): Part[] {
  return items.length === 0 ? [] : chunksOf(items).map(partOf);
}

/** The usual delta is small, and its kinds fit into one message together: a router never sees half of it. */
function joinedWhenSmall(parts: Part[]): Part[] {
  const joined: Part = Object.assign({}, ...parts);
  const kinds = new Set(parts.flatMap((part) => Object.keys(part)));
  return parts.length === kinds.size && parts.length > 1 && chunksOf([...parts]).length === 1 ? [joined] : parts;
}
