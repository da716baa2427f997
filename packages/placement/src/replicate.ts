/** A model as placement sees it. */
export type Placeable = {
  readonly name: string;
  /** What it takes on each replica that holds it. */
  readonly memoryBytes: number;
  /** The same of a GPU's memory, which is a budget of its own; 0 when it takes none, or nobody said. */
  readonly gpuBytes?: number;
  readonly createdMs: number;
  /** Whether it has its place already. */
  readonly held: boolean;
};

/** What models may take on each replica; undefined is not compared with. */
export type Capacity = { readonly memoryBytes: number | undefined; readonly gpuBytes?: number | undefined };

export type Placement = {
  /** What every replica is to hold. */
  readonly placed: ReadonlySet<string>;
  /** What waits for room, oldest first. */
  readonly waiting: readonly string[];
};

/**
 * Policy `replicate`: every replica holds every model that fits. Who has a place keeps it; room goes to the oldest that
 * fits into it, so that one large model does not hold up the small ones behind it. If a replica becomes too small for what it
 * holds, the youngest give way. A capacity that is not known fits all.
 */
export function planPlacement(capacity: Capacity, models: Iterable<Placeable>): Placement {
  const placed = new Set<string>();
  const waiting: string[] = [];
  let free = capacity.memoryBytes ?? Number.POSITIVE_INFINITY;
  let gpuFree = capacity.gpuBytes ?? Number.POSITIVE_INFINITY;
  for (const { name, memoryBytes, gpuBytes = 0 } of [...models].sort(heldThenOldest)) {
    if (memoryBytes <= free && gpuBytes <= gpuFree) {
      free -= memoryBytes;
      gpuFree -= gpuBytes;
      placed.add(name);
    } else waiting.push(name);
  }
  return { placed, waiting };
}

function heldThenOldest(a: Placeable, b: Placeable): number {
  return Number(b.held) - Number(a.held) || a.createdMs - b.createdMs || (a.name < b.name ? -1 : 1);
}
