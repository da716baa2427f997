/** A model as placement sees it. */
export type Placeable = {
  readonly name: string;
  /** What it takes on each replica that holds it. */
  readonly memoryBytes: number;
  readonly createdMs: number;
  /** Whether it has its place already. */
  readonly held: boolean;
};

export type Placement = {
  /** What every replica is to hold. */
  readonly placed: ReadonlySet<string>;
  /** What waits for room, oldest first. */
  readonly waiting: readonly string[];
};

/**
 * Policy `replicate`: every replica holds every model that fits. Who has a place keeps it; room goes to the oldest that
 * fits into it, so that one large model does not hold up the small ones behind it. If a replica becomes too small for what it
 * holds, the youngest give way. Without a capacity all fit.
 */
export function planPlacement(capacityBytes: number | undefined, models: Iterable<Placeable>): Placement {
  const placed = new Set<string>();
  const waiting: string[] = [];
  let free = capacityBytes ?? Number.POSITIVE_INFINITY;
  for (const { name, memoryBytes } of [...models].sort(heldThenOldest)) {
    if (memoryBytes <= free) {
      free -= memoryBytes;
      placed.add(name);
    } else waiting.push(name);
  }
  return { placed, waiting };
}

function heldThenOldest(a: Placeable, b: Placeable): number {
  return Number(b.held) - Number(a.held) || a.createdMs - b.createdMs || (a.name < b.name ? -1 : 1);
}
