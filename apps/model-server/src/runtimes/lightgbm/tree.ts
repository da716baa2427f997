import { corrupt } from '../../model.ts';
import { checkTree } from '../tree-shape.ts';
import type { Block } from './text.ts';

/** The lines of one tree, checked; a child below 0 is leaf `~child`. All arithmetic is in double precision. */
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
export type Linear = {
  readonly constants: Float64Array;
  readonly starts: Int32Array;
  readonly features: Int32Array;
  readonly coefficients: Float64Array;
};

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
  if (decisions.some((decision) => decision < 0 || decision >> 2 > 2))
    throw corrupt('a tree decides in a way that is not known');
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
