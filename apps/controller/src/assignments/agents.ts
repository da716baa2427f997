import type { AgentSession } from '@roundhouse/control-protocol';
import type { Fleet } from './fleet.ts';
import type { Replica } from './replica.ts';

/** Agents that connect become replicas, and replicas go when their pods do. */
export function createAgents({ fleet, wake }: { readonly fleet: Fleet; readonly wake: (service: string) => void }) {
  const onAttached = new Set<() => void>();

  const replicaFor = (session: AgentSession): Replica => {
    const { podUid, podName, namespace, service, dataAddress, zone, memoryBytes } = session.hello;
    const before = fleet.services.get(`${namespace}/${service}`)?.replicas.get(podUid);
    return {
      id: podUid,
      namespace,
      service,
      pod: podName,
      dataAddress,
      zone,
      memoryBytes: Number(memoryBytes),
      reports: session.reports,
      session,
      serverReady: true,
      draining: before?.draining ?? false,
      traffic: before?.traffic ?? new Map(),
    };
  };

  return {
    /** A new stream. Nothing is planned with it before its full report is in. */
    attach(session: AgentSession) {
      const { namespace, service: name } = session.hello;
      const key = `${namespace}/${name}`;
      let replica: Replica | undefined;

      session.onReport(({ changed, gone }) => {
        if (replica === undefined) {
          replica = replicaFor(session);
          fleet.attach(replica);
          for (const listener of onAttached) listener();
          wake(key);
          return;
        }
        const service = fleet.serviceOf(namespace, name);
        for (const model of changed) fleet.reported(service, model.name);
        for (const model of gone) fleet.reported(service, model);
      });
      session.onHeartbeat(({ traffic, serverReady, draining }) => {
        if (replica === undefined) return;
        replica.serverReady = serverReady;
        for (const { name: model, requests, errors } of traffic) {
          const sum = replica.traffic.get(model) ?? { requests: 0, errors: 0 };
          replica.traffic.set(model, {
            requests: sum.requests + Number(requests),
            errors: sum.errors + Number(errors),
          });
        }
        if (draining) fleet.drain(replica);
      });
      session.onClose(() => {
        // The pod may well go on serving; its reports stand until it is gone or speaks again.
        if (replica?.session !== session) return;
        replica.session = undefined;
        wake(key);
      });
    },

    /** Calls `listener` after each replica that has told all that it holds, until the returned function is called. */
    onAttached(listener: () => void): () => void {
      onAttached.add(listener);
      return () => onAttached.delete(listener);
    },

    /** What the API server says of a pod. */
    pod(service: string, uid: string, state: { readonly gone: boolean; readonly leaving: boolean }) {
      const known = fleet.services.get(service);
      const replica = known?.replicas.get(uid);
      if (known === undefined || replica === undefined) return;
      if (state.gone) fleet.remove(known, uid);
      else if (state.leaving) fleet.drain(replica);
    },
  };
}
