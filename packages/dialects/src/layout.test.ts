import { describe, expect, it } from 'vitest';
import type { DialectName } from './dialect.ts';
import { dialectFor } from './dialects.ts';
import type { Artifact } from './layout.ts';

type Given = {
  readonly framework?: string;
  readonly model?: string;
  readonly texts?: Readonly<Record<string, string>>;
};

function plan(
  dialect: DialectName,
  paths: readonly string[],
  { framework = 'onnx', model = 'iris', texts }: Given = {},
) {
  const { layout } = dialectFor(dialect);
  const artifact: Artifact = { model, framework, paths, texts: new Map(Object.entries(texts ?? {})) };
  return layout?.plan(artifact);
}

const moved = (from: string, to: string) => ({ from, to });

describe('the layout of Triton', () => {
  it.each([
    ['the file that its backend looks for', ['model.onnx'], [moved('model.onnx', '1/model.onnx')]],
    ['a file of another name', ['iris-v7.onnx'], [moved('iris-v7.onnx', '1/model.onnx')]],
    ['two that could be meant', ['a.onnx', 'b.onnx'], [moved('a.onnx', '1/a.onnx'), moved('b.onnx', '1/b.onnx')]],
    [
      'a Python model with what it needs',
      ['lib/tree.py', 'model.py', 'weights.npz'],
      ['lib/tree.py', 'model.py', 'weights.npz'].map((path) => moved(path, `1/${path}`)),
    ],
    [
      "TensorFlow's directory",
      ['saved_model.pb', 'variables/a'],
      [
        moved('saved_model.pb', '1/model.savedmodel/saved_model.pb'),
        moved('variables/a', '1/model.savedmodel/variables/a'),
      ],
    ],
    ['versions of its own', ['1/model.onnx', '3/model.onnx', 'notes.txt'], []],
    ['a directory 0', ['0/model.onnx'], []],
    ['a directory 007, which is no version', ['007/model.onnx'], [moved('007/model.onnx', '1/007/model.onnx')]],
  ])('puts %s into a version', (_, paths, moves) => {
    expect(plan('triton', paths)?.moves).toEqual(moves);
  });

  it('leaves configuration and labels at the top, and the file that the configuration names as it is', () => {
    const config = 'default_model_filename: "net.onnx"\noutput [{ name: "p" label_filename: "labels.txt" }]\n';
    const paths = ['config.pbtxt', 'configs/small.pbtxt', 'labels.txt', 'net.onnx'];

    expect(plan('triton', paths, { texts: { 'config.pbtxt': config } })).toEqual({
      moves: [moved('net.onnx', '1/net.onnx')],
      writes: [],
    });
  });

  it.each([
    ['name: "other"\nbackend: "python"\n', 'backend: "python"\n'],
    ["backend: 'x', name : 'other', max_batch_size: 1", "backend: 'x', max_batch_size: 1"],
    ['# name: "a"\ninput [{ name: "x" }]\nname:"b"', '# name: "a"\ninput [{ name: "x" }]\n'],
    [
      'parameters { key: "a" value { string_value: "} name: \\"c\\"" } } name: "b"',
      'parameters { key: "a" value { string_value: "} name: \\"c\\"" } } ',
    ],
  ])('takes its own name out of %j', (config, without) => {
    const given = plan('triton', ['1/model.py', 'config.pbtxt'], { texts: { 'config.pbtxt': config } });

    expect(given?.writes).toEqual([{ path: 'config.pbtxt', text: without }]);
  });

  it('refuses what needs a configuration and has none, and says the way out', () => {
    expect(() => plan('triton', ['model.json'], { framework: 'XGBoost' })).toThrow(
      /only with a config.pbtxt for its FIL backend: put one into the artifact/,
    );
    expect(
      plan('triton', ['xgboost.json', 'config.pbtxt'], { framework: 'xgboost', texts: { 'config.pbtxt': '' } }),
    ).toEqual({
      moves: [moved('xgboost.json', '1/xgboost.json')],
      writes: [],
    });
  });
});

describe('the layout of MLServer', () => {
  const settingsOf = (paths: readonly string[], given: Given) => {
    const { writes = [] } = plan('mlserver', paths, given) ?? {};
    return Object.fromEntries(writes.map(({ path, text }) => [path, JSON.parse(text)]));
  };

  it.each([
    ['sklearn', ['iris.joblib'], 'mlserver_sklearn.SKLearnModel', './iris.joblib'],
    ['xgboost', ['model.ubj'], 'mlserver_xgboost.XGBoostModel', './model.ubj'],
    ['LightGBM', ['model.txt', 'README'], 'mlserver_lightgbm.LightGBMModel', './model.txt'],
    ['xgboost', ['features.json', 'model.bst'], 'mlserver_xgboost.XGBoostModel', './model.bst'],
    ['mlflow', ['MLmodel', 'model.pkl'], 'mlserver_mlflow.MLflowRuntime', './'],
  ])('writes the settings of a %s model from %j', (framework, paths, implementation, uri) => {
    expect(settingsOf(paths, { framework })).toEqual({
      'model-settings.json': { name: 'iris', implementation, parameters: { uri } },
    });
  });

  it('gives every settings file of the artifact the name of the model, and keeps the rest', () => {
    const texts = {
      'model-settings.json': '{"name":"other","parameters":{"version":"v1"}}',
      'v2/model-settings.json': '{"implementation":"my.Model","warm_workers":true}',
    };

    expect(settingsOf([...Object.keys(texts), 'model.pkl'], { framework: 'sklearn', texts })).toEqual({
      'model-settings.json': {
        name: 'iris',
        implementation: 'mlserver_sklearn.SKLearnModel',
        parameters: { version: 'v1' },
      },
      'v2/model-settings.json': { name: 'iris', implementation: 'my.Model', warm_workers: true },
    });
  });

  it.each([
    ['none', [], /takes one file ending in .joblib, .pickle or .pkl for framework sklearn: there is none; or put/],
    ['two', ['a.pkl', 'b.joblib'], /there are a.pkl and b.joblib/],
  ])('refuses %s of the files that it could load', (_, paths, message) => {
    expect(() => plan('mlserver', paths, { framework: 'sklearn' })).toThrow(message);
  });

  it('refuses a framework it knows nothing of, and settings that are none', () => {
    expect(() => plan('mlserver', ['model.bin'], { framework: 'own' })).toThrow(
      /model-settings.json for framework own/,
    );
    expect(() => plan('mlserver', ['model-settings.json'], { texts: { 'model-settings.json': '[]' } })).toThrow(
      /not a JSON object/,
    );
  });
});

describe("the layout of KServe's servers", () => {
  it('takes one file of a known ending as it is', () => {
    expect(plan('kserve', ['iris.joblib', 'notes.md', 'deep/a.pkl'], { framework: 'sklearn' })?.moves).toEqual([]);
  });

  it('gives a LightGBM text file the ending that the server looks for', () => {
    expect(plan('kserve', ['model.txt'], { framework: 'lightgbm' })?.moves).toEqual([moved('model.txt', 'model.bst')]);
  });

  it.each([
    [
      'xgboost',
      ['model.bst', 'features.json'],
      /takes one file ending in .bst, .json or .ubj: there are model.bst and/,
    ],
    ['sklearn', ['model.onnx'], /there is none/],
    ['lightgbm', ['a.txt', 'b.txt'], /there is none/],
  ])('refuses for %s what would keep the server from starting: %j', (framework, paths, message) => {
    expect(() => plan('kserve', paths, { framework })).toThrow(message);
  });

  it('leaves alone what a server of somebody’s own may want', () => {
    expect(plan('kserve', ['a.bin', 'b.bin'], { framework: 'own' })).toEqual({ moves: [], writes: [] });
  });
});
