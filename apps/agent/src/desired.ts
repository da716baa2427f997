import type { Clock } from '@roundhouse/base';
import type { WantedModel } from './model.ts';

/**
 * How long the mounts are not trusted after the stream went away: they lag behind it by the kubelet's delay (35 to 75 s), and
 * what the stream said last is newer for that long.
 */
export const mountTrustedAfterMs = 90_000;

export type DesiredDeps = {
  readonly clock: Clock;
  readonly mounted: () => ReadonlyMap<string, WantedModel> | undefined;
  /** `changed` as `Keeper.want` takes it. */
  readonly want: (models: ReadonlyMap<string, WantedModel>, changed?: Iterable<string>) => void;
};

export type AssignmentChange = {
  readonly models: ReadonlyMap<string, WantedModel>;
  readonly changed: readonly string[];
  readonly removed: readonly string[];
};

/**
 * Chooses what this replica should hold: what the stream said while it is connected, and for as long after as the mounts
 * may be older; then the mounts, where every replica holds every model. What was said last stands when nobody speaks.
 */
export function createDesired(
  { clock, mounted, want }: DesiredDeps,
  policy: { readonly control: boolean; readonly placement: 'replicate' | 'spread' },
  last: readonly WantedModel[] | undefined,
) {
  let assigned = last === undefined ? undefined : new Map(last.map((model) => [model.name, model]));
  let trustMountsAtMs = policy.control ? clock.monotonic() + mountTrustedAfterMs : Number.NEGATIVE_INFINITY;
  let connected = false;
  const usesMounts = !policy.control || policy.placement === 'replicate';

  /** A mounted entry that says what was assigned is that model: the ConfigMap carries neither its checksum nor its Secret. */
  const enriched = (model: WantedModel): WantedModel => {
    const known = assigned?.get(model.name);
    const same =
      known?.storageUri === model.storageUri && known.framework === model.framework && known.memory === model.memory;
    return known !== undefined && same ? known : model;
  };

  function choose() {
    if (connected) return; // the stream speaks for itself
    const models = usesMounts ? mounted() : undefined;
    if (models !== undefined && (assigned === undefined || clock.monotonic() >= trustMountsAtMs)) {
      want(new Map(Array.from(models.values(), (model) => [model.name, enriched(model)])));
    } else if (assigned !== undefined) {
      want(assigned);
    }
  }

  return {
    /** Looks again: the mounts changed, time has passed, or the stream went away. */
    choose,

    /** The stream said what to hold: all of it, and what of it is new since it spoke last. */
    assigned({ models, changed, removed }: AssignmentChange) {
      if (!connected || assigned === undefined) {
        connected = true;
        assigned = new Map(models);
        return want(assigned);
      }
      for (const name of changed) {
        const model = models.get(name);
        if (model !== undefined) assigned.set(name, model);
      }
      for (const name of removed) assigned.delete(name);
      want(assigned, [...changed, ...removed]);
    },

    disconnected() {
      if (!connected) return;
      connected = false;
      trustMountsAtMs = clock.monotonic() + mountTrustedAfterMs;
    },

    /** What the stream said last. */
    get lastAssigned(): ReadonlyMap<string, WantedModel> | undefined {
      return assigned;
    },
  };
}
