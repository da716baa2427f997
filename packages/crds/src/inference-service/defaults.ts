import { frameworkKeys, type Implementation, type Predictor } from './schema.ts';

/** A predictor in one form, whichever of KServe's keys it was written with. */
export type ResolvedPredictor = {
  /** `custom` for a predictor that brings its own container. */
  readonly format: { readonly name: string; readonly version: string | undefined } | 'custom';
  readonly runtime: string | undefined;
  /** As given or implied by the key; undefined leaves it to the runtime. */
  readonly protocolVersion: string | undefined;
  readonly implementation: Implementation;
  /** Whether many TrainedModels may share it: no model of its own. */
  readonly multiModel: boolean;
};

/** Keys whose servers speak V2 unless told otherwise, as KServe defaults them. */
const v2Keys: ReadonlySet<string> = new Set(['triton', 'onnx', 'huggingface']);
const v2Formats: ReadonlySet<string> = new Set(['triton', 'vLLM']);

/** KServe's defaulting: `onnx: {…}` says what `model: {modelFormat: {name: onnx}, …}` says. */
export function resolvePredictor(predictor: Predictor): ResolvedPredictor {
  const { model } = predictor;
  if (model !== undefined) {
    const { name, version } = model.modelFormat;
    const protocolVersion = model.protocolVersion ?? (v2Formats.has(name) ? 'v2' : undefined);
    return resolved({ name, version }, model.runtime, protocolVersion, model, predictor);
  }
  const key = frameworkKeys.find((name) => predictor[name] !== undefined);
  const implementation = key === undefined ? undefined : predictor[key];
  if (key === undefined || implementation === undefined) {
    return {
      format: 'custom',
      runtime: undefined,
      protocolVersion: undefined,
      implementation: {},
      multiModel: hasFlag(predictor),
    };
  }
  const protocolVersion = implementation.protocolVersion ?? (v2Keys.has(key) ? 'v2' : undefined);
  return resolved({ name: key, version: undefined }, undefined, protocolVersion, implementation, predictor);
}

function resolved(
  format: { readonly name: string; readonly version: string | undefined },
  runtime: string | undefined,
  protocolVersion: string | undefined,
  implementation: Implementation,
  predictor: Predictor,
): ResolvedPredictor {
  // KServe's test: a location of any kind makes it a service of one model; its Hugging Face server never shares.
  const located = [implementation.storageUri, implementation.storage, predictor.storageUris].some(
    (location) => location !== undefined,
  );
  const multiModel = !located && format.name.toLowerCase() !== 'huggingface';
  return { format, runtime, protocolVersion, implementation, multiModel };
}

/** A custom container says that it is a server of many models by an environment variable. */
function hasFlag({ containers }: Predictor): boolean {
  const env = containers?.[0]?.env;
  return Array.isArray(env) && env.some((item) => item?.name === 'MULTI_MODEL_SERVER' && item.value === 'true');
}
