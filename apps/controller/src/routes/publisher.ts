import type { RouteChanges } from './changes.ts';
import {
  type ModelRoute,
  modelRouteFor,
  type ReplicaRoute,
  replicaRouteFor,
  type ServiceRoute,
  serviceRouteFor,
} from './plan.ts';

/** One change of the route table. */
export type RouteChange = {
  readonly services?: ServiceRoute[];
  readonly replicas?: ReplicaRoute[];
  readonly models?: ModelRoute[];
  readonly removedServices?: string[];
  readonly removedReplicas?: string[];
  readonly removedModels?: { readonly service: string; readonly name: string }[];
};

/** Where changes go: all routers. */
export type Board = {
  publish(change: RouteChange): void;
  settled(timeoutMs: number): Promise<void>;
};

/** Remembers what routers were told, and publishes only what differs. */
export function createPublisher(board: Board): RouteChanges {
  const told = new Map<string, { service: string; replicas: Map<string, string>; models: Map<string, string> }>();

  const publisher: RouteChanges = {
    service(service) {
      const route = serviceRouteFor(service);
      const before = told.get(service.key);
      if (route === undefined) {
        if (told.delete(service.key)) board.publish({ removedServices: [service.key] });
        return;
      }
      const text = JSON.stringify(route, (_, value) => (typeof value === 'bigint' ? `${value}` : value));
      if (before?.service === text) return;
      board.publish({ services: [route] });
      if (before !== undefined) {
        before.service = text;
        return;
      }
      told.set(service.key, { service: text, replicas: new Map(), models: new Map() });
      // What came before its service was not told.
      for (const replica of service.replicas.values()) publisher.replica(service, replica);
      for (const name of service.models.keys()) publisher.model(service, name);
    },

    replica(service, replica) {
      const known = told.get(service.key);
      if (known === undefined) return;
      const route = replicaRouteFor(service, replica);
      const text = JSON.stringify(route);
      if (known.replicas.get(replica.id) === text) return;
      known.replicas.set(replica.id, text);
      board.publish({ replicas: [route] });
    },

    removeReplica(service, id) {
      if (told.get(service.key)?.replicas.delete(id)) board.publish({ removedReplicas: [id] });
    },

    model(service, name) {
      const known = told.get(service.key);
      if (known === undefined) return;
      const route = modelRouteFor(service, name);
      if (route === undefined) {
        if (known.models.delete(name)) board.publish({ removedModels: [{ service: service.key, name }] });
        return;
      }
      const text = route.copies.map(({ replica, residency }) => `${replica}=${residency}`).join(' ');
      if (known.models.get(name) === text) return;
      known.models.set(name, text);
      board.publish({ models: [route] });
    },

    settled: (timeoutMs) => board.settled(timeoutMs),
  };
  return publisher;
}
