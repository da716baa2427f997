import type { Artifact } from '../artifact.ts';
import type { Model } from '../model.ts';
import type { OnnxWorkers } from './onnx/workers.ts';

/** Loads a file with the runtime for its format. Runtimes are imported when first used: an idle server stays small. */
export async function openModel(artifact: Artifact, workers: OnnxWorkers): Promise<Model> {
  switch (artifact.format) {
    case 'onnx':
      return (await import('./onnx/onnx.ts')).loadOnnx(artifact, workers);
    case 'xgboost':
      return (await import('./xgboost/load.ts')).loadXgboost(artifact);
    case 'lightgbm':
      return (await import('./lightgbm/load.ts')).loadLightgbm(artifact);
  }
}
