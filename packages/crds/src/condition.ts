import { z } from 'zod';

export const conditionSchema = z.object({
  type: z.string(),
  status: z.string(),
  severity: z.string().optional(),
  lastTransitionTime: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});

/** A condition as it is stored. `status` is `True`, `False` or `Unknown`. */
export type Condition = z.infer<typeof conditionSchema>;

/** What a condition type means, for status, summaries and the reference pages. */
export type ConditionKind = {
  readonly meaning: string;
  /** The status that asks for nothing. */
  readonly good: 'True' | 'False';
  /** Place in the summary: of several that block Ready, the lowest rank gives it its reason. Undefined blocks nothing. */
  readonly rank?: number;
  /** Why it is not good, each with what the reader should know. */
  readonly reasons: Readonly<Record<string, string>>;
};

/** What one condition says now. A good one needs no reason. */
export type Verdict = {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
};

/**
 * Stored conditions for `verdicts`, sorted by type. A condition keeps its transition time while its status stays;
 * conditions of types that are not in `owned` belong to others and stay as they are.
 */
export function conditionsFor(
  verdicts: Readonly<Record<string, Verdict | undefined>>,
  before: readonly Condition[],
  owned: ReadonlySet<string>,
  now: string,
): readonly Condition[] {
  const foreign = before.filter(({ type }) => !owned.has(type));
  const ours = Object.entries(verdicts).flatMap(([type, verdict]): Condition[] => {
    if (verdict === undefined) return [];
    const old = before.find((condition) => condition.type === type);
    const lastTransitionTime = old?.status === verdict.status ? (old.lastTransitionTime ?? now) : now;
    return [{ type, lastTransitionTime, ...verdict }];
  });
  return [...foreign, ...ours].sort((a, b) => (a.type < b.type ? -1 : 1));
}

/** The verdict that Ready takes over: the first by rank that is not good; undefined when all are. */
export function firstBlocking<Type extends string>(
  kinds: Readonly<Record<Type, ConditionKind>>,
  verdicts: Readonly<Partial<Record<Type, Verdict>>>,
): Verdict | undefined {
  const ranked = (Object.keys(kinds) as Type[])
    .filter((type) => kinds[type].rank !== undefined)
    .sort((a, b) => (kinds[a].rank ?? 0) - (kinds[b].rank ?? 0));
  for (const type of ranked) {
    const verdict = verdicts[type];
    if (verdict !== undefined && verdict.status !== kinds[type].good) return verdict;
  }
  return undefined;
}
