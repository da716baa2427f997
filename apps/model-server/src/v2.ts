import {
  type IndexEntry,
  InferenceError,
  invalid,
  type ModelMetadata,
  type ServerMetadata,
} from '@roundhouse/v2-protocol';
import type { Repository } from './repository.ts';
import { statisticsJson } from './statistics.ts';

export const serverMetadata: ServerMetadata = {
  name: 'roundhouse-model-server',
  version: '0.1.0',
  extensions: ['model_repository', 'binary_tensor_data', 'statistics'],
};

/** What V2 answers, in JSON's terms, whatever carries it. No version: the one that is served. */
export function createV2(repository: Repository) {
  const statistics = (name: string, version: string | undefined) =>
    repository.using(name, version, (loaded) => {
      const counted = repository.statisticsOf(name);
      return counted === undefined ? [] : [statisticsJson(name, loaded.version, counted)];
    });
  return {
    metadata: (name: string, version: string | undefined) =>
      repository.using(name, version, ({ model, version: loaded }): ModelMetadata => {
        const { platform, inputs, outputs } = model;
        return { name, versions: [loaded], platform, inputs, outputs };
      }),
    /** Throws when it is not. */
    ready: (name: string, version: string | undefined) =>
      repository.using(name, version, () => ({ name, ready: true })),
    /** No name: all models. */
    async statistics(name: string | undefined, version: string | undefined) {
      const parts = await Promise.all(
        (name === undefined ? repository.names() : [name]).map((each) => statistics(each, version)),
      );
      return { model_stats: parts.flat() };
    },
    index: (readyOnly: boolean): readonly IndexEntry[] =>
      repository.index().filter(({ state }) => !readyOnly || state === 'READY'),
    async load(name: string, parameters: readonly string[]) {
      const override = parameters.find((key) => key === 'config' || key.startsWith('file:'));
      if (override !== undefined)
        throw new InferenceError(
          'inference/unsupported',
          `load parameter "${override}" is not supported: models are served as they are in the model directory`,
        );
      await repository.load(named(name));
      return { name, load: true };
    },
    async unload(name: string) {
      await repository.unload(named(name));
      return { name, unload: true };
    },
  };
}

function named(name: string): string {
  if (name === '') throw invalid('the request has no model name');
  return name;
}
