import type { Manifest, Note } from './manifest.ts';

/** A shared service that models of another system come to. */
export type ServiceDraft = {
  readonly namespace: string;
  readonly name: string;
  readonly format: string;
  /** Chosen by format when undefined. */
  readonly runtime: string | undefined;
  readonly protocolVersion: string | undefined;
  readonly minReplicas?: number | undefined;
  readonly maxReplicas?: number | undefined;
};

/** One model, before it is written as a TrainedModel. */
export type ModelDraft = {
  readonly from: Manifest;
  readonly storageUri: string;
  readonly framework: string;
  /** Undefined where the other system does not say. */
  readonly memory: string | undefined;
  readonly service: ServiceDraft;
};

export type Converted = {
  readonly models?: readonly ModelDraft[];
  readonly services?: readonly ServiceDraft[];
  readonly notes: readonly Note[];
};

export type Options = {
  /** Memory of a model whose system does not say. */
  readonly memory: string;
  /** Bucket of a model whose storage does not name one. */
  readonly bucket: string | undefined;
};

/** A system whose manifests can be converted. */
export type Source = {
  readonly name: string;
  /** Whether the object is converted when nobody says where it is from. */
  detects(manifest: Manifest): boolean;
  /** Whether the object is converted when it is said to be from here. */
  takes(manifest: Manifest): boolean;
  /** `all` is every object of the input: some lie in others. */
  convert(manifest: Manifest, all: readonly Manifest[], options: Options): Converted;
};

type Family = 'mlserver' | 'triton';

const families: Readonly<Record<Family, { readonly runtime: string; readonly formats: readonly string[] }>> = {
  mlserver: { runtime: 'kserve-mlserver', formats: ['sklearn', 'xgboost', 'lightgbm', 'mlflow'] },
  triton: { runtime: 'kserve-tritonserver', formats: ['onnx', 'tensorflow', 'pytorch', 'tensorrt', 'triton'] },
};

/** Which of the model servers that load models on request a name means: `mlserver-1.x`, `triton`. */
export function familyNamed(text: string | undefined): Family | undefined {
  return (Object.keys(families) as Family[]).find((family) => text?.toLowerCase().startsWith(family));
}

/** The model server that loads a format. */
export function familyFor(format: string): Family | undefined {
  return (Object.keys(families) as Family[]).find((family) => families[family].formats.includes(format));
}

export const isFormat = (text: string) => familyFor(text) !== undefined;

/** A service whose servers are of the family; named after it unless told. */
export function sharedService(family: Family, namespace: string, name: string = family): ServiceDraft {
  const { runtime, formats } = families[family];
  const format = family === 'triton' ? family : (formats[0] ?? family);
  return { namespace, name: serviceName(name), format, runtime, protocolVersion: 'v2' };
}

/** As near to `text` as the name of a service can be. */
export function serviceName(text: string): string {
  const name = text.toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-');
  const cut = (/^[a-z]/.test(name) ? name : `s-${name}`).slice(0, 53).replace(/-+$/, '');
  return cut;
}

/** A note for each field that nobody read, with the way out where there is one. */
export function unreadNotes(object: string, paths: readonly string[], ways: Readonly<Record<string, string>>): Note[] {
  return paths.map((field) => {
    const way = Object.entries(ways).find(([name]) => field === name || field.startsWith(`${name}.`))?.[1];
    return { severity: 'note', object, field, message: `has no counterpart${way === undefined ? '' : `: ${way}`}` };
  });
}
