import { shardsMax } from '@roundhouse/crds';

/** A ConfigMap holds 1 MiB with its metadata; the text stays well below. */
export const shardBytesMax = 900 * 1024;

export type Shards = {
  /** The shard of a model; a new one goes to the first with room. Undefined when all are full. */
  place(model: string, sizeBytes: number): number | undefined;
  /** Puts a model where it was found at start. */
  adopt(model: string, shard: number, sizeBytes: number): void;
  remove(model: string): number | undefined;
  shardOf(model: string): number | undefined;
  membersOf(shard: number): readonly string[];
};

/** Which shard each model of one service is in. A model stays where it is, so that a change rewrites one ConfigMap. */
export function createShards(bytesMax = shardBytesMax): Shards {
  const placed = new Map<string, { readonly shard: number; readonly sizeBytes: number }>();
  const members = Array.from({ length: shardsMax }, () => new Set<string>());
  const used = new Array<number>(shardsMax).fill(0);

  const put = (model: string, shard: number, sizeBytes: number) => {
    placed.set(model, { shard, sizeBytes });
    members[shard]?.add(model);
    used[shard] = (used[shard] ?? 0) + sizeBytes;
    return shard;
  };
  const remove = (model: string) => {
    const place = placed.get(model);
    if (place === undefined) return undefined;
    placed.delete(model);
    members[place.shard]?.delete(model);
    used[place.shard] = (used[place.shard] ?? 0) - place.sizeBytes;
    return place.shard;
  };

  return {
    place(model, sizeBytes) {
      const before = remove(model);
      const fits = (shard: number) => (used[shard] ?? 0) + sizeBytes <= bytesMax;
      if (before !== undefined && fits(before)) return put(model, before, sizeBytes);
      const shard = used.findIndex((_, index) => fits(index));
      return shard === -1 ? undefined : put(model, shard, sizeBytes);
    },
    adopt(model, shard, sizeBytes) {
      remove(model);
      put(model, shard, sizeBytes);
    },
    remove,
    shardOf: (model) => placed.get(model)?.shard,
    membersOf: (shard) => [...(members[shard] ?? [])],
  };
}
