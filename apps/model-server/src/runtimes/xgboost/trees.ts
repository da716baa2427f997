import { corrupt, unsupported } from '../../model.ts';
import type { Fields } from '../fields.ts';
import { Growing, shared } from '../shared-memory.ts';
import { checkTree } from '../tree-shape.ts';

/**
 * All trees in one block of four 32-bit words per node: left child (-1 on leaves), right child, `feature << 2 | flags`, and the
 * threshold or leaf value as a float32; on a categorical split the last word is the index of its set instead.
 */
export type Forest = {
  readonly words: Int32Array;
  readonly floats: Float32Array;
  readonly roots: Int32Array;
  /** Which output a tree adds to. */
  readonly groups: Int32Array;
  /** Factor of each tree's leaves (DART), otherwise undefined. */
  readonly weights: Float32Array | undefined;
  /** Sorted categories that go right; set n is the slice from `setStarts[n]` to `setStarts[n + 1]`. */
  readonly sets: Int32Array;
  readonly setStarts: Int32Array;
};

const defaultLeftFlag = 1;
const categoricalFlag = 2;

/** Categories are small whole numbers; XGBoost keeps them in a float32, exact up to here. */
const categoryEnd = 2 ** 24;

type Sets = { readonly values: Growing<Int32Array>; readonly starts: Growing<Int32Array> };

export function parseForest(booster: Fields, featureCount: number, groupCount: number): Forest {
  const isDart = booster.text('name') === 'dart';
  const model = (isDart && booster.has('gbtree') ? booster.object('gbtree') : booster).object('model');
  const trees = model.objects('trees');
  const groups = Int32Array.from(model.integers('tree_info'), Number);
  if (groups.length !== trees.length)
    throw corrupt(`tree_info names ${groups.length} trees, but there are ${trees.length}`);
  if (groups.some((group) => group < 0 || group >= groupCount))
    throw corrupt('tree_info names an output that is not there');
  const counts = trees.map((tree) => tree.integers('left_children').length);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const words = new Int32Array(new SharedArrayBuffer(total * 16));
  const floats = new Float32Array(words.buffer);
  const int32 = (length: number) => new Int32Array(length);
  const sets: Sets = { values: new Growing(int32), starts: new Growing(int32) };
  sets.starts.push(0);
  const roots = new Int32Array(trees.length);
  let start = 0;
  for (const [at, tree] of trees.entries()) {
    roots[at] = start;
    writeTree(tree, { words, floats, start, featureCount, sets });
    start += counts[at] ?? 0;
  }
  return {
    words,
    floats,
    roots: shared(roots),
    groups: shared(groups),
    weights: isDart ? parseWeights(model.has('weight_drop') ? model : booster, trees.length) : undefined,
    sets: sets.values.finish(),
    setStarts: sets.starts.finish(),
  };
}

function parseWeights(fields: Fields, count: number): Float32Array {
  const weights = Float32Array.from(fields.numbers('weight_drop'));
  if (weights.length !== count) throw corrupt(`weight_drop has ${weights.length} values for ${count} trees`);
  return shared(weights);
}

type Target = {
  readonly words: Int32Array;
  readonly floats: Float32Array;
  readonly start: number;
  readonly featureCount: number;
  readonly sets: Sets;
};

function writeTree(tree: Fields, { words, floats, start, featureCount, sets }: Target) {
  if (tree.has('tree_param') && fieldsOrZero(tree.object('tree_param'), 'size_leaf_vector') > 1)
    throw unsupported('trees with several outputs per leaf (multi_strategy=multi_output_tree) are not supported');
  const left = tree.integers('left_children');
  const right = tree.integers('right_children');
  const features = tree.integers('split_indices');
  // A categorical split has NaN here.
  const conditions = tree.numbersOrNan('split_conditions');
  const defaults = tree.integers('default_left');
  const types = tree.has('split_type') ? tree.integers('split_type') : new Uint8Array(left.length);
  for (const column of [right, features, conditions, defaults, types])
    if (column.length !== left.length) throw corrupt('the columns of a tree differ in length');
  const reached = checkTree(left.length, (node) =>
    Number(left[node]) === -1 ? undefined : [Number(left[node]), Number(right[node])],
  );
  const setOf = categorySets(tree, sets);
  for (let node = 0; node < left.length; node++) {
    // Pruned trees keep deleted nodes, which hold anything.
    if (reached[node] === 0) continue;
    const at = (start + node) * 4;
    const isLeaf = Number(left[node]) === -1;
    words[at] = isLeaf ? -1 : start + Number(left[node]);
    words[at + 1] = isLeaf ? -1 : start + Number(right[node]);
    const isCategorical = !isLeaf && Number(types[node]) === 1;
    floats[at + 3] = conditions[node] as number;
    if (!isCategorical && Number.isNaN(conditions[node])) throw corrupt('a tree has a node without a number');
    if (isLeaf) continue;
    const feature = Number(features[node]);
    if (feature < 0 || feature >= featureCount) throw corrupt(`a tree splits on feature ${feature} of ${featureCount}`);
    words[at + 2] =
      (feature << 2) | (Number(defaults[node]) === 1 ? defaultLeftFlag : 0) | (isCategorical ? categoricalFlag : 0);
    if (isCategorical) words[at + 3] = setOf(node);
  }
}

function fieldsOrZero(fields: Fields, key: string): number {
  return fields.has(key) ? fields.integer(key) : 0;
}

/** Appends the tree's category sets and tells which one a node uses. */
function categorySets(tree: Fields, sets: Sets): (node: number) => number {
  const byNode = new Map<number, number>();
  if (tree.has('categories_nodes')) {
    const nodes = tree.integers('categories_nodes');
    const segments = tree.integers('categories_segments');
    const sizes = tree.integers('categories_sizes');
    const categories = Float64Array.from(tree.integers('categories'), Number);
    for (let at = 0; at < nodes.length; at++) {
      const [from, size] = [Number(segments[at]), Number(sizes[at])];
      if (!(from >= 0 && size >= 0 && from + size <= categories.length))
        throw corrupt('a category set lies outside the list');
      // Sets that overlap would let a small file ask for much memory; XGBoost writes each category once.
      if (sets.values.length + size > 2 ** 26) throw corrupt('the category sets are too large');
      byNode.set(Number(nodes[at]), sets.starts.length - 1);
      sets.values.append(categories.slice(from, from + size).sort());
      sets.starts.push(sets.values.length);
    }
  }
  return (node) => {
    const set = byNode.get(node);
    if (set === undefined) throw corrupt('a categorical split has no categories');
    return set;
  };
}

/** Adds all trees' leaves for one row to `margins`, each addition rounded to float32, in the order of the trees. */
export function addTrees(forest: Forest, row: Float32Array, from: number, margins: Float32Array, to: number) {
  const { words, floats, roots, groups, weights } = forest;
  for (let tree = 0; tree < roots.length; tree++) {
    let at = (roots[tree] as number) * 4;
    let left = words[at] as number;
    while (left >= 0) {
      const split = words[at + 2] as number;
      const value = row[from + (split >> 2)] as number;
      let goLeft: boolean;
      if (Number.isNaN(value)) goLeft = (split & defaultLeftFlag) !== 0;
      else if ((split & categoricalFlag) !== 0) goLeft = !isInSet(forest, words[at + 3] as number, value);
      else goLeft = value < (floats[at + 3] as number);
      at = (goLeft ? left : (words[at + 1] as number)) * 4;
      left = words[at] as number;
    }
    const leaf = floats[at + 3] as number;
    const target = to + (groups[tree] as number);
    // Stored as float32, which rounds the sum.
    margins[target] =
      (margins[target] as number) + (weights === undefined ? leaf : Math.fround(leaf * (weights[tree] as number)));
  }
}

function isInSet({ sets, setStarts }: Forest, set: number, value: number): boolean {
  if (!(value >= 0 && value < categoryEnd)) return false;
  const category = Math.trunc(value);
  let low = setStarts[set] as number;
  let high = (setStarts[set + 1] as number) - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = sets[middle] as number;
    if (found === category) return true;
    if (found < category) low = middle + 1;
    else high = middle - 1;
  }
  return false;
}
