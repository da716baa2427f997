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
  /** What `homeless` or `foreign` says of the service has changed. */
  readonly onStanding: (service: string) => void;
};

type Placed = { readonly shards: Shards; readonly homeless: Set<string> };

/** The ConfigMaps of all services: which model is in which shard, and one write per shard that changed. */
export function createShardWriter({ names, cluster, views, fleet, touch, onStanding }: Deps) {
  const placedOf = new Map<string, Placed>();
  const foreignOf = new Map<string, Map<number, string>>();

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

  const noteForeign = (key: string, shard: number, problem: string | undefined) => {
    const known = foreignOf.get(key) ?? new Map<number, string>();
    if (known.get(shard) === problem) return;
    if (problem === undefined) known.delete(shard);
    else known.set(shard, problem);
    if (known.size > 0) foreignOf.set(key, known);
    else foreignOf.delete(key);
    onStanding(key);
  };

  return {
    /** The model's entry may have come, gone or changed. */
    changed(service: Service, name: string) {
      const placed = open(service);
      const wasFull = placed.homeless.size;
      const freed = place(service, placed, name);
      if (freed) for (const waiting of [...placed.homeless]) if (waiting !== name) place(service, placed, waiting);
      if (placed.homeless.size !== wasFull) onStanding(service.key);
    },

    /** How many of the service's models are in no ConfigMap, since all are full. */
    homeless: (key: string) => placedOf.get(key)?.homeless.size ?? 0,

    /** Says which of the service's ConfigMaps is somebody else's, if one is. */
    foreign: (key: string) => foreignOf.get(key)?.values().next().value,

    /** The first shard exists for as long as the service does; those of a service that has no models any more go. */
    opened(service: Service) {
      open(service);
      for (let shard = 0; shard < shardsMax; shard++) {
        if (shard === 0 || storedOf(service, shard) !== undefined) touch(`${service.key}/${shard}`);
      }
    },

    forget(key: string) {
      placedOf.delete(key);
      foreignOf.delete(key);
    },

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
      const isWritten = stored !== undefined && isOwnedBy(stored, uid) && textOf(stored) === text;
      const isNotNeeded = stored === undefined && entries.length === 0 && shard > 0;
      const what = { service, uid, target, text, known: stored };
      const isOurs = isWritten || isNotNeeded || (await put({ names, cluster }, what, signal));
      const problem = isOurs
        ? undefined
        : `ConfigMap ${target.name} does not belong to this service: delete or rename it`;
      noteForeign(service.key, shard, problem);
      if (problem !== undefined) throw new Error(problem); // the queue backs off and comes back
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

/** False when somebody else's is there. What an earlier service of this name left is given to this one, or it would go with that. */
async function put(
  { names, cluster }: Pick<Deps, 'names' | 'cluster'>,
  { service, uid, target, text, known }: Put,
  signal: AbortSignal,
): Promise<boolean> {
  const data = { 'models.json': text };
  const object = configMapFor(names, service, uid, target.name, data);
  const { labels, ownerReferences } = object.metadata;
  const isOurs = ({ metadata }: Stored) =>
    metadata.ownerReferences?.some((owner) => owner.uid === uid || isSuccessor(ownerReferences[0], owner)) ?? false;
  const whole = { metadata: { labels, ownerReferences }, data };
  if (known !== undefined) {
    if (!isOurs(known)) return false;
    const change = isOwnedBy(known, uid) ? { data } : whole;
    if ((await cluster.patch(resources.configMaps, target, change, signal)) !== undefined) return true;
  }
  try {
    await cluster.create(resources.configMaps, object, signal);
    return true;
  } catch (error) {
    if (!isKubeError(error, 'kube/already-exists')) throw error;
    // It has lost the label that we find it by, or is somebody else's.
    const found = await cluster.get(resources.configMaps, target.namespace, target.name, signal);
    if (found === undefined) throw error; // it has gone meanwhile
    if (!isOurs(found)) return false;
    await cluster.patch(resources.configMaps, target, whole, signal);
    return true;
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
