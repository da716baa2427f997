import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { type Model, ModelRefused } from '../../apps/model-server/src/model.ts';
import { parseLightgbm } from '../../apps/model-server/src/runtimes/lightgbm/load.ts';
import { type TabularDeps, tabularModel } from '../../apps/model-server/src/runtimes/tabular-model.ts';
import { parseXgboost } from '../../apps/model-server/src/runtimes/xgboost/load.ts';
import type { Target, TargetGroup } from '../frame/target.ts';

const fixtures = join(import.meta.dirname, '../../apps/model-server/fixtures');
const sizeBytesMax = 48 * 1024;

const deps: TabularDeps = {
  clock: systemClock,
  pool: { ask: () => Promise.reject(new Error('three rows of a file this small are predicted on the spot')) },
};

function filesOf(format: string, pattern: RegExp): Uint8Array[] {
  const names = readdirSync(join(fixtures, format)).filter((name) => pattern.test(name));
  return names
    .map((name) => new Uint8Array(readFileSync(join(fixtures, format, name))))
    .filter(({ length }) => length <= sizeBytesMax);
}

/** Models that are refused say why. One that is taken predicts, as many outputs as it promises. */
async function opened(open: () => Model): Promise<string> {
  let model: Model;
  try {
    model = open();
  } catch (error) {
    if (!(error instanceof ModelRefused)) throw error;
    return `${error.code}: ${error.message}`;
  }
  const width = model.inputs[0]?.shape[1] ?? 0;
  // A wide model is no finding, but a table for it would only show that memory is finite.
  if (width > 10_000) return 'taken: too wide to ask';
  const rows = 3;
  const data = Float64Array.from({ length: rows * width }, (_, at) => [0, -1e9, Number.NaN, 3.5, 1e300][at % 5] ?? 0);
  const wanted = model.outputs.map(({ name }) => name);
  const outputs = await model.predict([{ name: 'x', datatype: 'FP64', shape: [rows, width], data }], wanted);
  for (const [at, { shape, data: values }] of outputs.entries()) {
    const promised = model.outputs[at]?.shape.slice(1) ?? [];
    const count = shape.reduce((product, size) => product * size, 1);
    if (shape[0] !== rows || values.length !== count || String(shape.slice(1)) !== String(promised))
      throw new Error(`shape ${shape} with ${values.length} values, but ${promised} was promised`);
  }
  return `taken: ${model.platform} ${model.outputs.map(({ datatype, shape }) => `${datatype}/${shape.length}`)}`;
}

const ubjson: Target = {
  name: 'xgboost-ubjson',
  seeds: () => filesOf('xgboost', /\.(ubj|bst)$/),
  words: [
    '[$d#L',
    '[$l#i\x01',
    '{L\0\0\0\0\0\0\0\x05',
    'S',
    'L\x7f\xff\xff\xff\xff\xff\xff\xff',
    'left_children',
    'Z',
    'N',
    'C',
  ],
  run: (input) => opened(() => tabularModel(deps, parseXgboost(Buffer.from(input)))),
};

const xgboostJson: Target = {
  name: 'xgboost-json',
  seeds: () => filesOf('xgboost', /^(?!.*expected).*\.json$/),
  words: [
    '"left_children":',
    '"tree_info":',
    '"num_class":"3"',
    '"split_type":[1]',
    '"categories":[',
    '[',
    '{',
    '"-1"',
    'null',
  ],
  run: (input) => opened(() => tabularModel(deps, parseXgboost(Buffer.from(input)))),
};

const lightgbm: Target = {
  name: 'lightgbm',
  seeds: () => filesOf('lightgbm', /\.txt$/),
  words: [
    'num_leaves=',
    'left_child=-1 -2',
    'cat_threshold=',
    'is_linear=1',
    '\n',
    'Tree=0',
    'end of trees',
    ' ',
    'inf',
    'nan',
  ],
  run: (input) => opened(() => tabularModel(deps, parseLightgbm(Buffer.from(input).toString('utf8')))),
};

export const group: TargetGroup = {
  summary: 'model files of XGBoost and LightGBM',
  targets: [ubjson, xgboostJson, lightgbm],
};
