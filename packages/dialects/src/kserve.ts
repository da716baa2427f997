import { z } from 'zod/mini';
import type { Dialect, Listing } from './dialect.ts';
import { type Artifact, asItIs, type Layout, listed, topFiles, unfit } from './layout.ts';
import { v2 } from './v2.ts';

const names = z.object({ models: z.array(z.string()) });

/** There is no index; the server lists what it has loaded. */
const v1Models: Listing = {
  method: 'GET',
  path: '/v1/models',
  parse: (text) => names.parse(JSON.parse(text)).models.map((name) => ({ name, ready: true, reason: undefined })),
};

/**
 * Each server wants exactly one file with such an ending at the top of the directory. Two or none are an error at load, and,
 * since the servers load all that they find when they start, one that keeps the whole process from coming up again.
 */
const endings: Readonly<Record<string, readonly string[]>> = {
  sklearn: ['.joblib', '.pkl', '.pickle'],
  xgboost: ['.bst', '.json', '.ubj'],
  lightgbm: ['.bst'],
};

/** LightGBM's own programs write `.txt`, which `lgbserver` does not look for. */
const lightgbmText = ['.txt', '.lgb', '.model'];

const layout: Layout = {
  reads: () => false,
  plan(artifact) {
    const framework = artifact.framework.toLowerCase();
    const wanted = endings[framework];
    if (wanted === undefined) return asItIs; // a server of somebody's own, on KServe's SDK
    const found = topFiles(artifact, wanted);
    if (found.length === 1) return asItIs;
    const renamed = framework === 'lightgbm' && found.length === 0 ? asBooster(artifact) : undefined;
    if (renamed !== undefined) return renamed;
    const have = found.length === 0 ? 'there is none' : `there are ${found.join(' and ')}`;
    throw unfit(`KServe's server for ${framework} takes one file ending in ${listed(wanted)}: ${have}`);
  },
};

function asBooster(artifact: Artifact) {
  const [file, another] = topFiles(artifact, lightgbmText);
  if (file === undefined || another !== undefined) return undefined;
  return { moves: [{ from: file, to: file.replace(/\.\w+$/, '.bst') }], writes: [] };
}

/** https://github.com/kserve/kserve/tree/master/python (0.21): every failed load is a 503, whatever its cause. */
export const kserve: Dialect = {
  ...v2,
  name: 'kserve',
  protocols: { v1: true, v2: true, grpc: true },
  listing: v1Models,
  isTransient: () => false,
  wantsContentType: true,
  layout,
};
