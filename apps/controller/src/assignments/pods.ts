import type { Stored } from '../cluster.ts';

/** The pods of each service that are there to stay, by `namespace/name` of the service and uid. */
export function createPods() {
  const podsOf = new Map<string, Map<string, Stored>>();

  return {
    of: (service: string): Iterable<Stored> => podsOf.get(service)?.values() ?? [],

    put(service: string, pod: Stored) {
      const own = podsOf.get(service) ?? new Map<string, Stored>();
      own.set(pod.metadata.uid ?? '', pod);
      podsOf.set(service, own);
    },

    remove(service: string, uid: string) {
      const own = podsOf.get(service);
      own?.delete(uid);
      if (own?.size === 0) podsOf.delete(service);
    },

    /** Whether `is` holds for a pod of any service. */
    some(is: (service: string, uid: string, pod: Stored) => boolean) {
      for (const [service, own] of podsOf) for (const [uid, pod] of own) if (is(service, uid, pod)) return true;
      return false;
    },
  };
}
