import type { Replica } from '../assignments/replica.ts';
import type { Service } from '../assignments/service.ts';

/** What routers are told. Each call says "look again at this"; what has not changed is not sent. */
export type RouteChanges = {
  service(service: Service): void;
  replica(service: Service, replica: Replica): void;
  removeReplica(service: Service, id: string): void;
  model(service: Service, name: string): void;
  /** Resolves when every router acknowledged all of the above, or after the timeout. Never rejects. */
  settled(timeoutMs: number): Promise<void>;
};
