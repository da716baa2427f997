import { Growing } from '../shared-memory.ts';
import type { Tree } from './tree.ts';

/**
 * All trees in one block: four 32-bit words per split (left child, right child, `feature << 4 | decision`, category set) and a
 * threshold. A child from 0 on is the place of a split's words, one below 0 is leaf `~child` among all leaves.
 */
export type Forest = {
  readonly words: Int32Array;
  readonly thresholds: Float64Array;
  readonly roots: Int32Array;
  readonly leaves: Float64Array;
  /** Words of the category bitsets; set n lies from `setStarts[n]` to `setStarts[n + 1]`. */
  readonly setStarts: Int32Array;
  readonly sets: Int32Array;
  readonly linear: LinearLeaves | undefined;
};

/** Leaf n has the terms from `starts[n]` to `starts[n + 1]`; `isLinear` tells leaves of linear trees from plain ones. */
type LinearLeaves = {
  readonly isLinear: Int32Array;
  readonly constants: Float64Array;
  readonly starts: Int32Array;
  readonly features: Int32Array;
  readonly coefficients: Float64Array;
};

const wordsPerSplit = 4;
const missingZero = 1;
/** Smaller magnitudes count as zero; a float32 constant in LightGBM. */
const zeroMax = Math.fround(1e-35);

const int32 = (length: number) => new Int32Array(length);
const float64 = (length: number) => new Float64Array(length);

export function forestOf(trees: readonly Tree[]): Forest {
  const total = (countOf: (tree: Tree) => number) => trees.reduce((sum, tree) => sum + countOf(tree), 0);
  const splits = total(({ features }) => features.length);
  const words = new Int32Array(new SharedArrayBuffer(splits * wordsPerSplit * 4));
  const thresholds = new Float64Array(new SharedArrayBuffer(splits * 8));
  const roots = new Int32Array(new SharedArrayBuffer(trees.length * 4));
  const leaves = new Float64Array(new SharedArrayBuffer(total((tree) => tree.leaves.length) * 8));
  const setStarts = new Growing(int32);
  const sets = new Growing(int32);
  let [split, leaf] = [0, 0];
  for (const [at, tree] of trees.entries()) {
    roots[at] = tree.features.length === 0 ? ~leaf : split * wordsPerSplit;
    writeSplits(tree, { words, split, leaf, firstSet: setStarts.length });
    thresholds.set(tree.thresholds, split);
    leaves.set(tree.leaves, leaf);
    split += tree.features.length;
    leaf += tree.leaves.length;
    // Each tree's last boundary stands between its sets and the next tree's: an empty set that no split names.
    if (tree.sets.length > 0) for (const start of tree.setStarts) setStarts.push(sets.length + start);
    sets.append(tree.sets);
  }
  return {
    words,
    thresholds,
    roots,
    leaves,
    setStarts: setStarts.finish(),
    sets: sets.finish(),
    linear: trees.some(({ linear }) => linear !== undefined) ? linearLeavesOf(trees) : undefined,
  };
}

/** How much of each kind comes before the tree. */
type Place = {
  readonly words: Int32Array;
  readonly split: number;
  readonly leaf: number;
  readonly firstSet: number;
};

function writeSplits({ features, thresholds, decisions, left, right }: Tree, place: Place) {
  const { words, split, leaf, firstSet } = place;
  const childOf = (child: number) => (child < 0 ? ~(leaf + ~child) : (split + child) * wordsPerSplit);
  for (let at = 0; at < features.length; at++) {
    const decision = decisions[at] as number;
    const word = (split + at) * wordsPerSplit;
    words[word] = childOf(left[at] as number);
    words[word + 1] = childOf(right[at] as number);
    words[word + 2] = ((features[at] as number) << 4) | decision;
    words[word + 3] = (decision & 1) === 1 ? firstSet + (thresholds[at] as number) : 0;
  }
}

function linearLeavesOf(trees: readonly Tree[]): LinearLeaves {
  const isLinear = new Growing(int32);
  const constants = new Growing(float64);
  const starts = new Growing(int32);
  const features = new Growing(int32);
  const coefficients = new Growing(float64);
  starts.push(0);
  for (const { leaves, linear } of trees) {
    const firstTerm = features.length;
    for (let leaf = 0; leaf < leaves.length; leaf++) {
      isLinear.push(linear === undefined ? 0 : 1);
      constants.push(linear?.constants[leaf] ?? 0);
      starts.push(firstTerm + (linear?.starts[leaf + 1] ?? 0));
    }
    features.append(linear?.features ?? []);
    coefficients.append(linear?.coefficients ?? []);
  }
  return {
    isLinear: isLinear.finish(),
    constants: constants.finish(),
    starts: starts.finish(),
    features: features.finish(),
    coefficients: coefficients.finish(),
  };
}

/** Adds what each tree gives for the row that starts at `from` to `sums`; the trees take turns at the `outputs` from `to` on. */
export function addTrees(
  forest: Forest,
  rows: ArrayLike<number>,
  from: number,
  sums: Float64Array,
  to: number,
  outputs: number,
) {
  const { words, thresholds, roots, leaves, linear } = forest;
  let output = 0;
  for (let tree = 0; tree < roots.length; tree++) {
    let node = roots[tree] as number;
    while (node >= 0) {
      const split = words[node + 2] as number;
      const value = rows[from + (split >> 4)] as number;
      const goesLeft =
        (split & 1) === 1
          ? isInSet(forest, words[node + 3] as number, value)
          : isBelow(split, thresholds[node >> 2] as number, value);
      node = (goesLeft ? words[node] : words[node + 1]) as number;
    }
    const leaf = leaves[~node] as number;
    const target = to + output;
    sums[target] =
      (sums[target] as number) + (linear === undefined ? leaf : linearValue(linear, leaf, ~node, rows, from));
    output = output + 1 === outputs ? 0 : output + 1;
  }
}

function isBelow(split: number, threshold: number, value: number): boolean {
  const missing = (split >> 2) & 3;
  if (Number.isNaN(value)) return missing === 0 ? 0 <= threshold : (split & 2) !== 0;
  if (missing === missingZero && Math.abs(value) <= zeroMax) return (split & 2) !== 0;
  return value <= threshold;
}

function isInSet({ setStarts, sets }: Forest, set: number, value: number): boolean {
  // NaN and what does not fit an int32 belong to no category; fractions are cut off, so -0.5 is category 0.
  if (!(value > -1 && value < 2 ** 31)) return false;
  const category = Math.trunc(value);
  const word = (setStarts[set] as number) + (category >>> 5);
  return word < (setStarts[set + 1] as number) && (((sets[word] as number) >>> (category & 31)) & 1) === 1;
}

/** A missing value leaves the plain leaf. */
function linearValue(linear: LinearLeaves, plain: number, leaf: number, rows: ArrayLike<number>, from: number): number {
  const { isLinear, constants, starts, features, coefficients } = linear;
  if (isLinear[leaf] === 0) return plain;
  let sum = constants[leaf] as number;
  for (let term = starts[leaf] as number; term < (starts[leaf + 1] as number); term++) {
    const value = rows[from + (features[term] as number)] as number;
    if (Number.isNaN(value)) return plain;
    sum += (coefficients[term] as number) * value;
  }
  return sum;
}
