import { describe, expect, it } from 'vitest';
import { builtInRuntime, customResourceDefinitions, namesFor, predictPath } from './index.ts';

describe('namesFor', () => {
  it("gives KServe's names under its group", () => {
    const names = namesFor();

    expect(names.predictor('shop')).toBe('shop-predictor');
    expect(names.modelConfig('shop', 0)).toBe('modelconfig-shop-0');
    expect(names.finalizer).toBe('trainedmodel.finalizer');
    expect(names.labels).toMatchObject({ parent: 'inferenceservice', service: 'serving.kserve.io/inferenceservice' });
  });

  it('gives names that touch none of them under another group', () => {
    const flat = (group: string) => {
      const names = namesFor(group);
      return [
        ...Object.values(names.labels),
        ...Object.values(names.shortNames),
        names.finalizer,
        names.predictor('shop'),
        names.app('shop'),
        names.modelConfig('shop', 0),
        ...customResourceDefinitions(names).map(({ metadata }) => metadata.name),
        builtInRuntime(group).apiVersion,
      ];
    };
    const upstream = new Set(flat('serving.kserve.io'));

    expect(flat('serving.roundhouse.dev').filter((name) => upstream.has(name))).toEqual([]);
  });

  it('names the path of a model by protocol', () => {
    expect(predictPath('v1', 'm')).toBe('/v1/models/m:predict');
    expect(predictPath('v2', 'm')).toBe('/v2/models/m/infer');
  });
});
