import { CodedError, messageOf } from '@roundhouse/base';
import { z } from 'zod/mini';

/** One entry of `models.json` as KServe's agent reads it. `memory` is a canonical quantity. */
export type ModelEntry = {
  readonly modelName: string;
  readonly modelSpec: { readonly storageUri: string; readonly framework: string; readonly memory: string };
};

const entries = z.array(
  z.object({
    modelName: z.string(),
    modelSpec: z.object({
      storageUri: z.string(),
      framework: z.string(),
      memory: z.union([z.string(), z.pipe(z.number(), z.transform(String))]),
    }),
  }),
);

/**
 * KServe's format: a compact JSON array, keys in its order, escaped as Go does. Sorted by name, where KServe's order is
 * random, so that the same models always give the same text.
 */
export function encodeModels(models: Iterable<ModelEntry>): string {
  const sorted = [...models].sort((a, b) => (a.modelName < b.modelName ? -1 : a.modelName > b.modelName ? 1 : 0));
  return `[${sorted.map(encodeModel).join(',')}]`;
}

/** One entry of the array. */
export function encodeModel({ modelName, modelSpec: { storageUri, framework, memory } }: ModelEntry): string {
  return escapeAsGo(JSON.stringify({ modelName, modelSpec: { storageUri, framework, memory } }));
}

/** Entries of a `models.json`; missing or empty text counts as none, and of two with one name the later holds. */
export function parseModels(text: string | undefined): readonly ModelEntry[] {
  if (text === undefined || text.trim() === '') return [];
  try {
    const parsed = entries.parse(JSON.parse(text) ?? []);
    return [...new Map(parsed.map((entry) => [entry.modelName, entry])).values()];
  } catch (error) {
    throw new CodedError('crds/invalid-models', `models.json is not a list of models: ${messageOf(error)}`);
  }
}

function escapeAsGo(json: string): string {
  return json.replaceAll(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
