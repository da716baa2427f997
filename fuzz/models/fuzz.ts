import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { elementCount, InferenceError, layoutOf } from '@roundhouse/v2-protocol';
import { type Model, ModelRefused } from '../../apps/model-server/src/model.ts';
import { parseLightgbm } from '../../apps/model-server/src/runtimes/lightgbm/load.ts';
import { createProber, type Prober } from '../../apps/model-server/src/runtimes/onnx/prober.ts';
import { openOnnxSession } from '../../apps/model-server/src/runtimes/onnx/session.ts';
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

let prober: Prober | undefined;
let path: string | undefined;

/** As the server opens a file: a probe in a process of its own first. One that passes there must not crash this process either. */
const onnx: Target = {
  name: 'onnx',
  seeds: () => filesOf('onnx', /^(?!endless).*\.onnx$/),
  words: [
    '\x08\x08',
    '\x12\x00',
    'ai.onnx.ml',
    'Identity',
    'ZipMap',
    '\xff\xff\xff\xff\x0f',
    'FLOAT',
    '\x0a\x01X',
    'axis',
  ],
  testRuns: 250,
  async run(input) {
    prober ??= createProber({ clock: systemClock, probeUrl }, { loadMs: 4_000, trialMs: 1_000 });
    path ??= join(mkdtempSync(join(tmpdir(), 'roundhouse-fuzz-onnx-')), 'model.onnx');
    writeFileSync(path, input);
    try {
      const { timings } = await prober.probe(path, input.length);
      if (timings.length === 0) return 'taken: no prediction ended in time, so it would have a thread of its own';
    } catch (error) {
      if (!(error instanceof ModelRefused)) throw error;
      return `${error.code}: ${error.message}`;
    }
    return predictOnnx(path);
  },
};

const probeUrl = new URL('../../apps/model-server/src/probe.ts', import.meta.url);

async function predictOnnx(file: string): Promise<string> {
  const session = await openOnnxSession(file);
  const tensors = session.inputs.map(({ shape: any, ...input }) => {
    const shape = any.map((size) => Math.max(1, size));
    const { kind, create } = layoutOf(input.datatype);
    const count = Math.min(elementCount(shape), 1_000_000);
    return {
      ...input,
      shape,
      data: kind === 'bytes' ? new Array<Uint8Array>(count).fill(new Uint8Array()) : create(count),
    };
  });
  try {
    if (tensors.some(({ shape, data }) => elementCount(shape) !== data.length)) return 'taken: too wide to ask';
    const wanted = session.outputs.map(({ name }) => name);
    const outputs = await session.run(tensors, wanted);
    for (const { name, shape, data } of outputs)
      if (data.length !== elementCount(shape)) throw new Error(`output ${name} has ${data.length} values for ${shape}`);
    return `taken: ${outputs.map(({ datatype, shape }) => `${datatype}/${shape.length}`).join(' ')}`;
  } catch (error) {
    if (!(error instanceof InferenceError)) throw error;
    return `${error.code}: ${error.message}`;
  } finally {
    await session.close();
  }
}

export const group: TargetGroup = {
  summary: 'model files of XGBoost, LightGBM and ONNX',
  targets: [ubjson, xgboostJson, lightgbm, onnx],
};
