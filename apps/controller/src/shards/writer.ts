import { encodeModel, encodeModels, type ModelEntry, type Names, parseModels, shardsMax } from '@roundhouse/crds';
import { isKubeError } from '@roundhouse/kube';
import type { Fleet } from '../assignments/fleet.ts';
import { entryFor } from '../assignments/model.ts';
import type { Service } from '../assignments/service.ts';
import { type Cluster, resources, type Stored, type Views } from '../cluster.ts';
import { isSuccessor } from '../inference-service/children.ts';
import { serviceLabels } from '../inference-service/manifests/metadata.ts';
import { createShards, type Shards } from './plan.ts';

export type Deps = {
  readonly names: Names;
  readonly cluster: Cluster;
  readonly views: Pick<Views, 'modelConfigs'>;
  readonly fleet: Fleet;
  /** Writes the shard soon; keys are `namespace/service/shard`. */
  readonly touch: (key: string) => void;
  /** The service has come to have models without a shard, or no longer has. */
  readonly onFull: (service: string) => void;
};

type Placed = { readonly shards: Shards; readonly homeless: Set<string> };

/** The ConfigMaps of all services: which model is in which shard, and one write per shard that changed. */
export function createShardWriter({ names, cluster, views, fleet, touch, onFull }: Deps) {
  const placedOf = new Map<string, Placed>();

  const storedOf = ({ namespace, name }: Service, shard: number) =>
    views.modelConfigs.get(`${namespace}/${names.modelConfig(name, shard)}`);

  /** A service's shards; members that are found stored stay where they are. */
  const open = (service: Service) => {
    const { key, models } = service;
    const known = placedOf.get(key);
    if (known !== undefined) return known;
    const placed = { shards: createShards(), homeless: new Set<string>() };
    placedOf.set(key, placed);
    for (let shard = 0; shard < shardsMax; shard++) {
      for (const entry of storedModels(storedOf(service, shard))) {
        if (models.has(entry.modelName)) placed.shards.adopt(entry.modelName, shard, sizeOf(entry));
        else touch(`${key}/${shard}`);
      }
    }
    return placed;
  };

  const entriesOf = (service: Service, members: readonly string[]) =>
    members.flatMap((member) => {
      const holding = service.holdings.get(member);
      return holding?.stage === 'held' ? [entryFor(holding.model)] : [];
    });

  const place = (service: Service, { shards, homeless }: Placed, name: string) => {
    const holding = service.holdings.get(name);
    const before = shards.shardOf(name);
    const wanted = holding?.stage === 'held' ? sizeOf(entryFor(holding.model)) : undefined;
    const after = wanted === undefined ? void shards.remove(name) : shards.place(name, wanted);
    for (const shard of new Set([before, after])) if (shard !== undefined) touch(`${service.key}/${shard}`);
    if (wanted !== undefined && after === undefined) homeless.add(name);
    else homeless.delete(name);
    return before !== undefined && after !== before;
  };

  return {
    /** The model's entry may have come, gone or changed. */
    changed(service: Service, name: string) {
      const placed = open(service);
      const wasFull = placed.homeless.size;
      const freed = place(service, placed, name);
      if (freed) for (const waiting of [...placed.homeless]) if (waiting !== name) place(service, placed, waiting);
      if (placed.homeless.size !== wasFull) onFull(service.key);
    },

    /** How many of the service's models are in no ConfigMap, since all are full. */
    homeless: (key: string) => placedOf.get(key)?.homeless.size ?? 0,

    /** The first shard exists for as long as the service does; those of a service that has no models any more go. */
    opened(service: Service) {
      open(service);
      for (let shard = 0; shard < shardsMax; shard++) {
        if (shard === 0 || storedOf(service, shard) !== undefined) touch(`${service.key}/${shard}`);
      }
    },

    forget: (key: string) => void placedOf.delete(key),

    /** Writes one shard if its ConfigMap says something else. */
    async write(key: string, signal: AbortSignal) {
      const [namespace = '', name = '', number = ''] = key.split('/');
      const service = fleet.services.get(`${namespace}/${name}`);
      const { multiModel, own, uid } = service?.view ?? {};
      if (service === undefined || uid === undefined || multiModel === undefined) return;
      const shard = Number(number);
      const target = { namespace, name: names.modelConfig(name, shard) };
      const stored = storedOf(service, shard);
      if (!multiModel && own === undefined) {
        if (stored !== undefined && isOwnedBy(stored, uid))
          await cluster.delete(resources.configMaps, { ...target, uid: stored.metadata.uid ?? '' }, signal);
        return;
      }
      const entries = entriesOf(service, open(service).shards.membersOf(shard));
      const text = encodeModels(entries);
      if (textOf(stored) === text && stored !== undefined && isOwnedBy(stored, uid)) return;
      if (stored === undefined && entries.length === 0 && shard > 0) return;
      await put({ names, cluster }, { service, uid, target, text, known: stored }, signal);
    },
  };
}

type Put = {
  readonly service: Service;
  /** Of the InferenceService that was read: it may go while we write. */
  readonly uid: string;
  readonly target: { readonly namespace: string; readonly name: string };
  readonly text: string;
  readonly known: Stored | undefined;
};

async function put({ names, cluster }: Pick<Deps, 'names' | 'cluster'>, what: Put, signal: AbortSignal) {
  const { service, uid, target, text, known } = what;
  const data = { 'models.json': text };
  // What an earlier service of this name left goes with that one, unless it is given to this one.
  if (
    known &&
    isOwnedBy(known, uid) &&
    (await cluster.patch(resources.configMaps, target, { data }, signal)) !== undefined
  )
    return;
  const object = configMapFor(names, service, uid, target.name, data);
  try {
    await cluster.create(resources.configMaps, object, signal);
  } catch (error) {
    if (!isKubeError(error, 'kube/already-exists')) throw error;
    // It has lost the label that we find it by, or is somebody else's.
    const found = await cluster.get(resources.configMaps, target.namespace, target.name, signal);
    const owner = object.metadata.ownerReferences[0];
    const isLeft = found?.metadata.ownerReferences?.some((older) => isSuccessor(owner, older)) === true;
    if (found === undefined || !(isOwnedBy(found, uid) || isLeft)) {
      throw new Error(`ConfigMap ${target.name} does not belong to this service: delete or rename it`);
    }
    const { labels, ownerReferences } = object.metadata;
    await cluster.patch(resources.configMaps, target, { metadata: { labels, ownerReferences }, data }, signal);
  }
}

function configMapFor(names: Names, { namespace, name }: Service, uid: string, configMap: string, data: object) {
  const { group, version, kind } = names.inferenceServices;
  const owner = { apiVersion: `${group}/${version}`, kind, name, uid, controller: true, blockOwnerDeletion: true };
  const { app: _, ...labels } = serviceLabels(names, name);
  const metadata = { name: configMap, namespace, labels, ownerReferences: [owner] };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
}

function isOwnedBy({ metadata }: Stored, uid: string): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

function textOf(stored: Stored | undefined): string | undefined {
  return (stored?.data as { readonly 'models.json'?: string } | undefined)?.['models.json'];
}

/** What somebody broke by hand counts as empty: it is written anew. */
function storedModels(stored: Stored | undefined): readonly ModelEntry[] {
  try {
    return parseModels(textOf(stored));
  } catch {
    return [];
  }
}

function sizeOf(entry: ModelEntry): number {
  return Buffer.byteLength(encodeModel(entry)) + 1;
}
