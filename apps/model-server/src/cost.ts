/** What predictions of one model cost, learned from those that were made. */
export type Cost = {
  /** Milliseconds that a prediction of this size is expected to take its thread. */
  estimateMs(size: number): number;
  learn(size: number, ms: number): void;
};

/** Sizes within a factor of two of each other count as one. */
const classOf = (size: number) => Math.max(0, Math.ceil(Math.log2(Math.max(1, size))));

/** Weight of the newest measurement: one slow run on a busy machine does not change where the next goes, three do. */
const newest = 0.3;

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
    learn(size, ms) {
      const at = classOf(size);
      const before = known[at];
      known[at] = before === undefined ? ms : before + newest * (ms - before);
    },
  };
}
