import { readFile } from 'node:fs/promises';
import type { Artifact } from '../../artifact.ts';
import { corrupt, type Model, unsupported } from '../../model.ts';
import { outputsMax, tabularModel } from '../tabular.ts';
import { parseObjective, type Transform } from './objective.ts';
import { parseLightgbmText } from './text.ts';
import { parseTree, type Tree, treeValue } from './tree.ts';

export async function loadLightgbm({ path }: Artifact): Promise<Model> {
  return parseLightgbm(await readFile(path, 'utf8'));
}

/** A model as `Booster.save_model` writes it. It predicts what `Booster.predict` does, with all trees in the file. */
export function parseLightgbm(text: string): Model {
  const { header, trees: blocks } = parseLightgbmText(text);
  const featureCount = header.integer('max_feature_idx') + 1;
  const outputCount = header.integer('num_tree_per_iteration');
  if (featureCount < 1) throw corrupt(`the file says it has ${featureCount} features`);
  if (!(outputCount >= 1 && outputCount <= outputsMax))
    throw unsupported(`the model has ${outputCount} outputs; at most ${outputsMax} are supported`);
  if (blocks.length % outputCount !== 0)
    throw corrupt(`${blocks.length} trees do not make whole rounds of ${outputCount}`);
  const trees = blocks.map((block) => parseTree(block, featureCount));
  const transform = parseObjective(header.has('objective') ? header.text('objective') : undefined);
  const divisor = header.has('average_output') ? Math.max(1, trees.length / outputCount) : 1;
  const names = header.has('feature_names') ? header.text('feature_names').trim().split(/\s+/) : [];
  return tabularModel({
    platform: 'lightgbm',
    featureCount,
    features: names.length === featureCount ? names : undefined,
    outputCount,
    datatype: 'FP64',
    evaluate: (rows, count) => evaluate({ trees, transform, divisor, featureCount, outputCount }, rows, count),
  });
}

type Evaluator = {
  readonly trees: readonly Tree[];
  readonly transform: Transform;
  /** Random forests average their rounds. */
  readonly divisor: number;
  readonly featureCount: number;
  readonly outputCount: number;
};

function evaluate(
  { trees, transform, divisor, featureCount, outputCount }: Evaluator,
  rows: ArrayLike<number>,
  count: number,
): Float64Array {
  const sums = new Float64Array(count * outputCount);
  for (let row = 0; row < count; row++) {
    const to = row * outputCount;
    for (let at = 0; at < trees.length; at++) {
      const output = to + (at % outputCount);
      sums[output] = (sums[output] as number) + treeValue(trees[at] as Tree, rows, row * featureCount);
    }
    if (divisor !== 1) for (let at = to; at < to + outputCount; at++) sums[at] = (sums[at] as number) / divisor;
    transform(sums, to, to + outputCount);
  }
  return sums;
}
