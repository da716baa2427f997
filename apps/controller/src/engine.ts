import type { Clock } from '@roundhouse/base';
import type { AgentSession } from '@roundhouse/control-protocol';
import type { Names } from '@roundhouse/crds';
import type { Log } from '@roundhouse/telemetry';
import { createAgents } from './assignments/agents.ts';
import { createFleet } from './assignments/fleet.ts';
import { modelFor } from './assignments/model.ts';
import { createPods } from './assignments/pods.ts';
import {
  type Cluster,
  type Installation,
  isReady,
  keyOf,
  missingRetryMs,
  type RecordEvent,
  type Stored,
  serviceKeyOf,
  type Views,
} from './cluster.ts';
import { createExposure } from './exposure/writer.ts';
import { createServices } from './inference-service/reconcile.ts';
import { createSettings } from './inference-service/settings.ts';
import { type Board, createPublisher } from './routes/publisher.ts';
import { createShardWriter } from './shards/writer.ts';
import { createClaims, createStatusWriter } from './trained-model/reconcile.ts';

/** Runs `handle` for each key: one at a time per key, again with back-off when it fails. */
export type Queue = { add(key: string, afterMs?: number): void };

export type EngineDeps = {
  readonly names: Names;
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly views: Views;
  readonly board: Board;
  readonly record: RecordEvent;
  readonly domain: string;
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
  readonly queue: (name: string, handle: (key: string, signal: AbortSignal) => Promise<void>) => Queue;
  /** Set for a new term: statuses stay as they are until `rediscovered`, since agents have yet to tell what they hold. */
  readonly rediscovers?: boolean;
  /** A namespace has services: it needs the CA's certificate. */
  readonly onNamespace: (namespace: string) => void;
};

export type Engine = ReturnType<typeof createEngine>;

/** Steps on the way are shown when they last; a model that loads at once costs one write. */
const statusDelayMs = 100;
/** Models applied together are written together. */
const shardDelayMs = 50;
/** New services hardly ever change the way to them. */
const exposureDelayMs = 1_000;
/** Pods, Deployments and streams change in bursts. */
const serviceDelayMs = 20;

/** All of the controller between the API server's watches and the control stream. */
export function createEngine(deps: EngineDeps) {
  const { names, clock, views, queue, onNamespace } = deps;

  let held: Set<string> | undefined = deps.rediscovers === true ? new Set() : undefined;
  const claims = queue('claims', (key, signal) => claim(key, signal));
  const statuses = queue('statuses', async (key, signal) => {
    if (held !== undefined) held.add(key);
    else await writeStatus(key, signal);
  });
  const shardQueue = queue('shards', (key, signal) => shards.write(key, signal));
  const serviceQueue = queue('services', (key, signal) => services.reconcile(key, signal));

  const fleet = createFleet({
    clock,
    routes: createPublisher(deps.board),
    onStatus: (key, urgent) => statuses.add(key, urgent ? 0 : statusDelayMs),
    onModels: (service, name) => {
      claims.add(`${service.namespace}/${name}`);
      shards.changed(service, name);
    },
    onOwn: ({ key }) => wake(key),
    onReleased: (key) => claims.add(key),
  });
  const wake = (key: string, afterMs = serviceDelayMs) => serviceQueue.add(key, afterMs);
  const pods = createPods();
  const touch = (key: string) => shardQueue.add(key, shardDelayMs);
  const shards = createShardWriter({ ...deps, fleet, touch, onStanding: wake });
  const settings = createSettings(deps);
  const exposure = createExposure({ ...deps, settings, fleet, onMissing: () => refreshAll() });
  const exposures = queue('exposure', async (key, signal) => {
    await exposure.write(signal);
    if (exposure.missing() !== undefined) exposures.add(key, missingRetryMs);
  });
  const claim = createClaims({ ...deps, fleet });
  const writeStatus = createStatusWriter({ ...deps, fleet });
  const missingWayIn = exposure.missing;
  const services = createServices({ ...deps, fleet, settings, shards, missingWayIn, wake, podsOf: pods.of });
  const agents = createAgents({ fleet, wake });

  const onModel = (key: string) => {
    const object = views.models.get(key);
    fleet.setModel(key, object === undefined ? undefined : modelFor(names, object));
    claims.add(key);
  };

  const onService = (key: string) => {
    const object = views.services.get(key);
    services.refresh(key);
    const service = fleet.services.get(key);
    if (object === undefined) {
      shards.forget(key);
    } else if (service !== undefined) {
      onNamespace(service.namespace);
      shards.opened(service);
      // The owner may be new to models that waited for it.
      for (const model of service.models.values()) claims.add(model.key);
    }
    serviceQueue.add(key);
    if (settings.current().config.exposes) exposures.add('roundhouse', exposureDelayMs);
  };

  const refreshAll = () => {
    for (const key of allServices()) {
      services.refresh(key);
      wake(key);
    }
  };

  const allServices = () => [...views.services.list()].map(keyOf);

  return {
    fleet,
    agents,

    /** Takes in all that the views hold. Models come first, so that those with a place keep it when their service comes. */
    start() {
      if (settings.read()) exposures.add('roundhouse');
      for (const object of views.models.list()) onModel(keyOf(object));
      for (const key of allServices()) onService(key);
    },

    /**
     * Resolves once the agents of all Ready pods have told what they hold, or after the timeout. Before that, routes made from
     * what we know would take models away from routers that still send to them.
     */
    rediscovered(timeoutMs: number): Promise<void> {
      const isMissing = (key: string, uid: string, pod: Stored) =>
        isReady(pod) && !fleet.services.get(key)?.replicas.has(uid);
      return new Promise((resolve) => {
        const check = () => {
          if (pods.some(isMissing)) return;
          finish();
        };
        const stopListening = agents.onAttached(check);
        const stopWaiting = clock.after(timeoutMs, () => finish());
        const finish = () => {
          stopListening();
          stopWaiting();
          const waiting = held ?? [];
          held = undefined;
          for (const key of waiting) statuses.add(key);
          resolve();
        };
        check();
      });
    },

    onModel,
    onService,

    onRuntime: refreshAll,

    /** A ConfigMap beside the controller changed. */
    onSettings(object: Stored) {
      if (!settings.read(object)) return;
      refreshAll();
      exposures.add('roundhouse');
    },

    /** One of a service's own objects changed. */
    onChild(object: Stored) {
      const key = serviceKeyOf(names, object);
      if (key === undefined) return;
      services.refresh(key);
      wake(key);
    },

    onModelConfig(object: Stored) {
      const shard = /-(\d+)$/.exec(object.metadata.name)?.[1];
      const key = serviceKeyOf(names, object);
      if (key !== undefined && shard !== undefined) shardQueue.add(`${key}/${shard}`, shardDelayMs);
    },

    onPod(object: Stored, gone: boolean) {
      const key = serviceKeyOf(names, object);
      const { uid = '', deletionTimestamp } = object.metadata;
      if (key === undefined) return;
      const leaving = gone || deletionTimestamp !== undefined;
      if (leaving) pods.remove(key, uid);
      else pods.put(key, object);
      agents.pod(key, uid, { gone, leaving });
      wake(key);
    },

    onAgent: (session: AgentSession) => agents.attach(session),
  };
}
