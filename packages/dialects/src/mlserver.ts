import { z } from 'zod/mini';
import type { Dialect } from './dialect.ts';
import { type Artifact, type Layout, listed, topFiles, unfit } from './layout.ts';
import { v2 } from './v2.ts';

type Implementation = { readonly implementation: string; readonly endings: readonly string[] };

/** The runtimes of its image, with the files that each can load. */
const implementations: Readonly<Record<string, Implementation>> = {
  sklearn: { implementation: 'mlserver_sklearn.SKLearnModel', endings: ['.joblib', '.pickle', '.pkl'] },
  xgboost: { implementation: 'mlserver_xgboost.XGBoostModel', endings: ['.bst', '.json', '.ubj'] },
  lightgbm: { implementation: 'mlserver_lightgbm.LightGBMModel', endings: ['.bst', '.txt', '.lgb', '.model'] },
  catboost: { implementation: 'mlserver_catboost.CatboostModel', endings: ['.cbm', '.json'] },
};

/** Those that take a directory. */
const directories: Readonly<Record<string, string>> = {
  mlflow: 'mlserver_mlflow.MLflowRuntime',
  huggingface: 'mlserver_huggingface.HuggingFaceRuntime',
};

const settingsName = 'model-settings.json';
const isSettings = (path: string) => path === settingsName || path.endsWith(`/${settingsName}`);
const settingsObject = z.record(z.string(), z.unknown());

/**
 * MLServer finds models by the settings files anywhere below its directory, and knows each by the name that its file gives. So
 * every one of them gets this model's name, and an artifact without one gets one.
 */
const layout: Layout = {
  reads: isSettings,
  plan(artifact) {
    const given = artifact.paths.filter(isSettings);
    const writes = given.map((path) => ({ path, text: renamed(artifact, path) }));
    return { moves: [], writes: given.length > 0 ? writes : [{ path: settingsName, text: settingsFor(artifact) }] };
  },
};

function renamed({ model, framework, texts }: Artifact, path: string): string {
  const settings = settingsObject.safeParse(parsed(texts.get(path) ?? '')).data;
  if (settings === undefined) throw unfit(`${path} of the artifact is not a JSON object`);
  const implementation = settings.implementation ?? implementationOf(framework);
  return text({ ...settings, ...(implementation !== undefined && { implementation }), name: model });
}

function settingsFor(artifact: Artifact): string {
  const { model, framework } = artifact;
  const implementation = implementationOf(framework);
  if (implementation === undefined) {
    throw unfit(`MLServer needs a ${settingsName} for framework ${framework}: put one into the artifact`);
  }
  const endings = implementations[framework.toLowerCase()]?.endings;
  const uri = endings === undefined ? './' : `./${modelFile(artifact, endings)}`;
  return text({ name: model, implementation, parameters: { uri } });
}

/** The one file, or of several the one with the well-known name. */
function modelFile(artifact: Artifact, endings: readonly string[]): string {
  const found = topFiles(artifact, endings);
  const known = found.filter((path) => path.startsWith('model.'));
  const [file, another] = found.length > 1 ? known : found;
  if (file !== undefined && another === undefined) return file;
  const have = found.length === 0 ? 'there is none' : `there are ${found.join(' and ')}`;
  const way = `or put a ${settingsName} into the artifact`;
  throw unfit(
    `MLServer takes one file ending in ${listed(endings)} for framework ${artifact.framework}: ${have}; ${way}`,
  );
}

function implementationOf(framework: string): string | undefined {
  const name = framework.toLowerCase();
  return implementations[name]?.implementation ?? directories[name];
}

const text = (settings: object) => `${JSON.stringify(settings, undefined, 2)}\n`;

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/**
 * https://github.com/SeldonIO/MLServer (1.7): each index and each load reads every settings file below its directory, so both would
 * grow with the number of models. Its index lists what it finds there, not what it has loaded: each model is asked for by itself.
 */
export const mlserver: Dialect = {
  ...v2,
  name: 'mlserver',
  listing: undefined,
  readsAtEachLoad: settingsName,
  layout,
};
