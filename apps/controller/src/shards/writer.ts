import { encodeModel, encodeModels, type ModelEntry, type Names, parseModels, shardsMax } from '@roundhouse/crds';
import type { Fleet } from '../assignments/fleet.ts';
import { entryFor } from '../assignments/model.ts';
import type { Service } from '../assignments/service.ts';
import { type Cluster, resources, type Stored, type View } from '../cluster.ts';
import { serviceLabels } from '../inference-service/manifests/metadata.ts';
import { createShards, type Shards } from './plan.ts';

export type Deps = {
  readonly names: Names;
  readonly cluster: Cluster;
  readonly modelConfigs: View;
  readonly fleet: Fleet;
  /** Writes the shard soon; keys are `namespace/service/shard`. */
  readonly touch: (key: string) => void;
};

/** The ConfigMaps of all services: which model is in which shard, and one write per shard that changed. */
export function createShardWriter({ names, cluster, modelConfigs, fleet, touch }: Deps) {
  const shardsOf = new Map<string, Shards>();

  /** A service's shards; members that are found stored stay where they are. */
  const open = ({ key, namespace, name, models }: Service) => {
    const known = shardsOf.get(key);
    if (known !== undefined) return known;
    const shards = createShards();
    shardsOf.set(key, shards);
    for (let shard = 0; shard < shardsMax; shard++) {
      const stored = modelConfigs.get(`${namespace}/${names.modelConfig(name, shard)}`);
      for (const entry of storedModels(stored)) {
        if (models.has(entry.modelName)) shards.adopt(entry.modelName, shard, sizeOf(entry));
        else touch(`${key}/${shard}`);
      }
    }
    return shards;
  };

  return {
    /** The model's entry may have come, gone or changed. Returns false when no shard has room for it. */
    changed(service: Service, name: string): boolean {
      const shards = open(service);
      const before = shards.shardOf(name);
      const holding = service.holdings.get(name);
      const after =
        holding?.stage === 'held' ? shards.place(name, sizeOf(entryFor(holding.model))) : void shards.remove(name);
      for (const shard of new Set([before, after])) if (shard !== undefined) touch(`${service.key}/${shard}`);
      return holding?.stage !== 'held' || after !== undefined;
    },

    /** The first shard exists for as long as the service does. */
    opened(service: Service) {
      open(service);
      touch(`${service.key}/0`);
    },

    forget: (key: string) => void shardsOf.delete(key),

    /** Writes one shard if its ConfigMap says something else. */
    async write(key: string, signal: AbortSignal) {
      const [namespace = '', name = '', number = ''] = key.split('/');
      const service = fleet.services.get(`${namespace}/${name}`);
      if (service?.view === undefined || service.view.multiModel !== true) return;
      const shard = Number(number);
      const members = open(service).membersOf(shard);
      const entries = members.flatMap((member) => {
        const holding = service.holdings.get(member);
        return holding?.stage === 'held' ? [entryFor(holding.model)] : [];
      });
      const text = encodeModels(entries);
      const target = { namespace, name: names.modelConfig(name, shard) };
      const stored = modelConfigs.get(`${namespace}/${target.name}`);
      if (textOf(stored) === text) return;
      if (stored === undefined && entries.length === 0 && shard > 0) return;
      const data = { 'models.json': text };
      const patched = stored && (await cluster.patch(resources.configMaps, target, { data }, signal));
      if (patched === undefined)
        await cluster.create(resources.configMaps, configMapFor(names, service, target.name, data), signal);
    },
  };
}

function configMapFor(names: Names, { namespace, name, view }: Service, configMap: string, data: object) {
  const { group, version, kind } = names.inferenceServices;
  const owner = {
    apiVersion: `${group}/${version}`,
    kind,
    name,
    uid: view?.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  const { app: _, ...labels } = serviceLabels(names, name);
  const metadata = { name: configMap, namespace, labels, ownerReferences: [owner] };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
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
