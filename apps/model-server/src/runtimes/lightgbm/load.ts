import { corrupt, unsupported } from '../../model.ts';
import { outputsMax, type Tabular } from '../tabular.ts';
import { forestOf } from './forest.ts';
import { parseObjective } from './objective.ts';
import { type Block, parseLightgbmText } from './text.ts';
import { parseTree } from './tree.ts';

/** A node keeps its feature and four bits of its decision in one word. */
const featuresMax = 2 ** 27;

/** A model as `Booster.save_model` writes it. It predicts what `Booster.predict` does, with all trees in the file. */
export function parseLightgbm(text: string): Tabular {
  const { header, trees: blocks } = parseLightgbmText(text);
  refuseUnknownVersion(header);
  const featureCount = header.integer('max_feature_idx') + 1;
  const outputCount = header.integer('num_tree_per_iteration');
  if (!(featureCount >= 1 && featureCount < featuresMax))
    throw corrupt(`the file says it has ${featureCount} features`);
  if (!(outputCount >= 1 && outputCount <= outputsMax))
    throw unsupported(`the model has ${outputCount} outputs; at most ${outputsMax} are supported`);
  if (blocks.length % outputCount !== 0)
    throw corrupt(`${blocks.length} trees do not make whole rounds of ${outputCount}`);
  const divisor = header.has('average_output') ? Math.max(1, blocks.length / outputCount) : 1;
  const names = header.has('feature_names') ? header.text('feature_names').trim().split(/\s+/) : [];
  return {
    featureCount,
    features: names.length === featureCount ? names : undefined,
    outputCount,
    datatype: 'FP64',
    program: {
      library: 'lightgbm',
      featureCount,
      outputCount,
      divisor,
      objective: parseObjective(header.has('objective') ? header.text('objective') : undefined),
      forest: forestOf(blocks.map((block) => parseTree(block, featureCount))),
    },
  };
}

/** v2 to v4 differ in nothing that predictions need. */
function refuseUnknownVersion(header: Block) {
  const version = header.has('version') ? header.text('version').trim() : 'v2';
  if (!/^v[234]$/.test(version))
    throw unsupported(`the file has LightGBM's format ${JSON.stringify(version)}; v2, v3 and v4 are supported`);
}
