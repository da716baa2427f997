import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ApiGroup,
  apiGroups,
  besideGroup,
  builtInRuntime,
  customResourceDefinitions,
  namesFor,
  predictPath,
} from './index.ts';

describe('namesFor', () => {
  it("gives KServe's names under its group", () => {
    const names = namesFor();

    expect(names.predictor('shop')).toBe('shop-predictor');
    expect(names.modelConfig('shop', 0)).toBe('modelconfig-shop-0');
    expect(names.finalizer).toBe('trainedmodel.finalizer');
    expect(names.labels).toMatchObject({ parent: 'inferenceservice', service: 'serving.kserve.io/inferenceservice' });
  });

  it('gives names that touch none of them under another group', () => {
    const flat = (group: ApiGroup) => {
      const names = namesFor(group);
      return [
        ...Object.values(names.labels),
        ...Object.values(names.annotations),
        ...Object.values(names.shortNames),
        names.finalizer,
        names.settings,
        names.domainTemplate,
        names.predictor('shop'),
        names.app('shop'),
        names.modelConfig('shop', 0),
        ...customResourceDefinitions(names).map(({ metadata }) => metadata.name),
        builtInRuntime(group).apiVersion,
      ];
    };
    const upstream = new Set(flat('serving.kserve.io'));

    expect(flat(besideGroup).filter((name) => upstream.has(name))).toEqual([]);
  });

  it('gives children that are none of any KServe service, whatever the two are called', () => {
    const [kserve, beside] = [namesFor(), namesFor(besideGroup)];
    const name = fc.stringMatching(/^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$/);

    fc.assert(
      fc.property(name, name, fc.nat(15), (theirs, ours, shard) => {
        expect(beside.predictor(ours)).not.toBe(kserve.predictor(theirs));
        expect(beside.app(ours)).not.toBe(kserve.app(theirs));
        expect(beside.modelConfig(ours, shard)).not.toBe(kserve.modelConfig(theirs, shard));
        expect(beside.predictor(ours).length).toBe(kserve.predictor(ours).length);
      }),
    );
  });

  it.each(apiGroups)('gives labels under %s that the API server takes for the longest names, one for each', (group) => {
    const long = 'a'.repeat(52);
    const apps = [`${long}a`, `${long}b`].map(namesFor(group).app);

    expect(apps[0]).not.toBe(apps[1]);
    for (const app of apps) expect(app).toMatch(/^[a-z0-9.-]{1,62}[a-z0-9]$/);
  });

  it('has all of them in the page for who moves', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/migrate/beside-kserve.md'), 'utf8');
    const { group, shortNames, labels, finalizer, predictor, modelConfig, settings, domainTemplate } =
      namesFor(besideGroup);
    const host = domainTemplate.replace('{{ .Name }}', 'NAME').replace('{{ .Namespace }}', 'NAMESPACE');

    for (const name of [
      ...[group, ...Object.values(shortNames), labels.service, finalizer, settings],
      ...[predictor('NAME'), modelConfig('NAME', 0), host.replace('{{ .IngressDomain }}', 'DOMAIN')],
    ])
      expect(page).toContain(`\`${name}\``);
  });

  it('hands no label on that a webhook of KServe selects by', () => {
    expect(namesFor(besideGroup).isForeignLabel(namesFor().labels.service)).toBe(true);
    expect(namesFor().isForeignLabel(namesFor().labels.service)).toBe(false);
  });

  it('names the path of a model by protocol', () => {
    expect(predictPath('v1', 'm')).toBe('/v1/models/m:predict');
    expect(predictPath('v2', 'm')).toBe('/v2/models/m/infer');
  });
});
