/** What predictions of one model cost, learned from those that were made. */
export type Cost = {
  /** Milliseconds that a prediction of this size is expected to take its thread. */
  estimateMs(size: number): number;
  learn(size: number, ms: number): void;
};

/** Sizes within a factor of two of each other count as one. */
const classOf = (size: number) => Math.max(0, Math.ceil(Math.log2(Math.max(1, size))));

/**
 * Weight of the newest measurement. A run that the system held up looks slow, so a slow one counts for no more than a few times
 * what is known: one does not change where the next goes, several in a row do. A fast one is never an accident.
 */
const newest = { slower: 0.3, faster: 0.5 };
/** What took no time that the clock could tell did take some, and more for more. */
const clockStepMs = 0.001;
const outlier = { factor: 4, leastMs: 0.1 };

/**
 * `sizeMs` is the first guess for one unit of size (a row, an element). A size that has not been met is taken to cost in
 * proportion to the nearest smaller one: at worst too much, which sends it to another thread, where it is measured.
 */
export function createCost(sizeMs: number): Cost {
  const known: (number | undefined)[] = [];
  return {
    estimateMs(size) {
      const wanted = classOf(size);
      for (let at = wanted; at >= 0; at--) {
        const ms = known[at];
        if (ms !== undefined) return ms * 2 ** (wanted - at);
      }
      return sizeMs * size;
    },
    learn(size, measuredMs) {
      const ms = Math.max(measuredMs, clockStepMs);
      const at = classOf(size);
      const before = known[at];
      if (before === undefined) known[at] = ms;
      else if (ms < before) known[at] = before + newest.faster * (ms - before);
      else {
        const counted = Math.min(ms, outlier.factor * Math.max(before, outlier.leastMs));
        known[at] = before + newest.slower * (counted - before);
      }
    },
  };
}
