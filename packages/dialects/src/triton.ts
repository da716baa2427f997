import type { Dialect } from './dialect.ts';
import { type Arrangement, type Artifact, type Layout, unfit } from './layout.ts';
import { v2 } from './v2.ts';

const configName = 'config.pbtxt';

/** Directories of versions: digits without a leading zero. */
const version = /^(0|[1-9]\d*)\//;

/** What a backend looks for in a version's directory unless the configuration says otherwise, by what files end in. */
const defaultNames: Readonly<Record<string, string>> = {
  '.onnx': 'model.onnx',
  '.plan': 'model.plan',
  '.pt': 'model.pt',
  '.graphdef': 'model.graphdef',
  '.py': 'model.py',
};

/** Frameworks whose models Triton takes only with a configuration: it cannot read their shapes from the file. */
const needsConfig: Readonly<Record<string, string>> = {
  xgboost: 'its FIL backend',
  lightgbm: 'its FIL backend',
  sklearn: 'its FIL backend',
  pytorch: 'its PyTorch backend',
};

/**
 * A model's directory holds its configuration and a directory for each version. An artifact without versions becomes version 1.
 * A name in the configuration must be that of the directory, or Triton refuses the model: it is left out.
 */
const layout: Layout = {
  reads: (path) => path === configName,
  plan(artifact) {
    const config = artifact.texts.get(configName);
    const backend = needsConfig[artifact.framework.toLowerCase()];
    if (config === undefined && backend !== undefined) {
      const way = `put one into the artifact, or use a runtime for ${artifact.framework}`;
      throw unfit(`Triton takes ${artifact.framework} models only with a ${configName} for ${backend}: ${way}`);
    }
    const nameless = config === undefined ? undefined : withoutName(config);
    const writes = nameless === undefined || nameless === config ? [] : [{ path: configName, text: nameless }];
    const isVersioned = artifact.paths.some((path) => version.test(path));
    return { moves: isVersioned ? [] : intoVersion(artifact, config ?? ''), writes };
  },
};

function intoVersion({ paths }: Artifact, config: string): Arrangement['moves'] {
  const labels = new Set(Array.from(config.matchAll(/\blabel_filename\s*:\s*["']([^"']+)["']/g), ([, name]) => name));
  const stays = (path: string) => path === configName || path.startsWith('configs/') || labels.has(path);
  const moving = paths.filter((path) => !stays(path));
  const savedModel = moving.includes('saved_model.pb');
  const renamed = /\bdefault_model_filename\b/.test(config) ? undefined : lonelyModel(moving);
  return moving.map((from) => {
    if (savedModel) return { from, to: `1/model.savedmodel/${from}` };
    return { from, to: `1/${renamed?.file === from ? renamed.name : from}` };
  });
}

/** The one file at the top that must be the model but has not the name that a backend looks for. */
function lonelyModel(paths: readonly string[]): { readonly file: string; readonly name: string } | undefined {
  const top = paths.filter((path) => !path.includes('/'));
  for (const [ending, name] of Object.entries(defaultNames)) {
    const [file, another] = top.filter((path) => path.endsWith(ending));
    if (file !== undefined && another === undefined) return file === name ? undefined : { file, name };
  }
  return undefined;
}

/** The configuration without its own `name`. Tensors have names too: only what stands outside of all braces is meant. */
function withoutName(config: string): string {
  const token =
    /#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{[]|[}\]]|\bname\s*:\s*(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')[^\S\n]*[,;]?[^\S\n]*\n?/g;
  let depth = 0;
  return config.replaceAll(token, (found) => {
    if (found === '{' || found === '[') depth++;
    else if (found === '}' || found === ']') depth--;
    else if (depth === 0 && found.startsWith('name')) return '';
    return found;
  });
}

/** https://github.com/triton-inference-server/server, in control mode `explicit`. */
export const triton: Dialect = {
  ...v2,
  name: 'triton',
  unloadIsSynchronous: false,
  // Before 24.01 every error was a 400. In another control mode it answers 503 for ever, so no 503 heals by waiting.
  isNotThere: ({ status, text }) => status === 404 || (status === 400 && text.includes('not found')),
  isTransient: () => false,
  refusesName: (name) =>
    name === 'stats' ? 'Triton takes the path /v2/models/stats for its statistics' : v2.refusesName(name),
  layout,
};
