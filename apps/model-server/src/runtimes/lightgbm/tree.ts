import { corrupt } from '../../model.ts';
import { checkTree } from '../tree-shape.ts';
import type { Block } from './text.ts';

/** One tree; a child below 0 is leaf `~child`. All arithmetic is in double precision. */
export type Tree = {
  readonly features: Int32Array;
  readonly thresholds: Float64Array;
  /** Bit 0: categorical; bit 1: missing goes left; bits 2 and 3: what is missing (0 nothing, 1 zero, 2 NaN). */
  readonly decisions: Int32Array;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly leaves: Float64Array;
  /** Words of the category bitsets; set n lies from `setStarts[n]` to `setStarts[n + 1]`. */
  readonly setStarts: Int32Array;
  readonly sets: Int32Array;
  readonly linear: Linear | undefined;
};

/** Leaves that hold a linear function; leaf n has the terms from `starts[n]` to `starts[n + 1]`. */
type Linear = {
  readonly constants: Float64Array;
  readonly starts: Int32Array;
  readonly features: Int32Array;
  readonly coefficients: Float64Array;
};

const missingZero = 1;
const missingNan = 2;
/** Smaller magnitudes count as zero; a float32 constant in LightGBM. */
const zeroMax = Math.fround(1e-35);

export function parseTree(block: Block, featureCount: number): Tree {
  const leafCount = block.integer('num_leaves');
  if (leafCount < 1) throw corrupt(`a tree has ${leafCount} leaves`);
  const splits = leafCount - 1;
  // A tree of one leaf has no lines for splits, or empty ones.
  const integers = (key: string) => (splits === 0 ? new Int32Array(0) : block.integers(key, splits));
  const tree: Tree = {
    features: integers('split_feature'),
    thresholds: splits === 0 ? new Float64Array(0) : block.numbers('threshold', splits),
    decisions: integers('decision_type'),
    left: integers('left_child'),
    right: integers('right_child'),
    leaves: block.numbers('leaf_value', leafCount),
    ...parseSets(block),
    linear:
      block.has('is_linear') && block.integer('is_linear') === 1
        ? parseLinear(block, leafCount, featureCount)
        : undefined,
  };
  checkSplits(tree, featureCount);
  return tree;
}

function parseSets(block: Block): Pick<Tree, 'setStarts' | 'sets'> {
  const count = block.has('num_cat') ? block.integer('num_cat') : 0;
  if (count === 0) return { setStarts: new Int32Array(1), sets: new Int32Array(0) };
  const setStarts = block.integers('cat_boundaries', count + 1);
  const sets = block.integers('cat_threshold');
  const isOrdered = setStarts.every((start, at) => start >= (at === 0 ? 0 : (setStarts[at - 1] as number)));
  if (!isOrdered || (setStarts[count] as number) > sets.length) throw corrupt('a category set lies outside the list');
  return { setStarts, sets };
}

function checkSplits({ features, thresholds, decisions, left, right, leaves, setStarts }: Tree, featureCount: number) {
  if (features.some((feature) => feature < 0 || feature >= featureCount))
    throw corrupt('a tree splits on an unknown feature');
  const isSet = (index: number) => Number.isInteger(index) && index >= 0 && index < setStarts.length - 1;
  const isBad = decisions.some((decision, at) => (decision & 1) === 1 && !isSet(thresholds[at] as number));
  if (isBad) throw corrupt('a categorical split has no categories');
  const splits = features.length;
  // Leaves are nodes after the splits, so that both are checked as one tree.
  const nodeOf = (child: number) => (child < 0 ? splits + ~child : child);
  if (splits > 0)
    checkTree(splits + leaves.length, (node) =>
      node < splits ? [nodeOf(left[node] as number), nodeOf(right[node] as number)] : undefined,
    );
}

function parseLinear(block: Block, leafCount: number, featureCount: number): Linear {
  const counts = block.integers('num_features', leafCount);
  const starts = new Int32Array(leafCount + 1);
  for (let leaf = 0; leaf < leafCount; leaf++) starts[leaf + 1] = (starts[leaf] as number) + (counts[leaf] as number);
  const total = starts[leafCount] as number;
  if (counts.some((count) => count < 0)) throw corrupt('a leaf has a negative number of features');
  const features = block.integers('leaf_features', total);
  if (features.some((feature) => feature < 0 || feature >= featureCount))
    throw corrupt('a leaf uses an unknown feature');
  const coefficients = block.numbers('leaf_coeff', total);
  return { constants: block.numbers('leaf_const', leafCount), starts, features, coefficients };
}

/** What the tree adds for the row that starts at `from`. */
export function treeValue(tree: Tree, row: ArrayLike<number>, from: number): number {
  const { features, left, right, leaves, linear } = tree;
  let node = features.length === 0 ? -1 : 0;
  while (node >= 0) {
    const value = row[from + (features[node] as number)] as number;
    node = (goesLeft(tree, node, value) ? left[node] : right[node]) as number;
  }
  return linear === undefined
    ? (leaves[~node] as number)
    : linearValue(linear, leaves[~node] as number, ~node, row, from);
}

function goesLeft({ decisions, thresholds, setStarts, sets }: Tree, node: number, value: number): boolean {
  const decision = decisions[node] as number;
  const threshold = thresholds[node] as number;
  if ((decision & 1) === 1) return isInSet(setStarts, sets, threshold, value);
  const missing = (decision >> 2) & 3;
  if (Number.isNaN(value)) {
    if (missing === missingNan) return (decision & 2) !== 0;
    return missing === missingZero ? (decision & 2) !== 0 : 0 <= threshold;
  }
  if (missing === missingZero && Math.abs(value) <= zeroMax) return (decision & 2) !== 0;
  return value <= threshold;
}

function isInSet(setStarts: Int32Array, sets: Int32Array, set: number, value: number): boolean {
  // NaN and what does not fit an int32 belong to no category; fractions are cut off, so -0.5 is category 0.
  if (!(value > -1 && value < 2 ** 31)) return false;
  const category = Math.trunc(value);
  const word = (setStarts[set] as number) + (category >>> 5);
  return word < (setStarts[set + 1] as number) && (((sets[word] as number) >>> (category & 31)) & 1) === 1;
}

/** A missing value leaves the plain leaf. */
function linearValue(linear: Linear, plain: number, leaf: number, row: ArrayLike<number>, from: number): number {
  const { constants, starts, features, coefficients } = linear;
  let sum = constants[leaf] as number;
  for (let term = starts[leaf] as number; term < (starts[leaf + 1] as number); term++) {
    const value = row[from + (features[term] as number)] as number;
    if (Number.isNaN(value)) return plain;
    sum += (coefficients[term] as number) * value;
  }
  return sum;
}
