import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeModels, type ModelEntry, parseModels } from './index.ts';

const entry = (modelName: string, storageUri = `s3://bucket/${modelName}`): ModelEntry => ({
  modelName,
  modelSpec: { storageUri, framework: 'sklearn', memory: '256Mi' },
});

describe('models.json', () => {
  it('is compact, in the order of keys that KServe writes, sorted by name', () => {
    expect(encodeModels([entry('m2'), entry('m1')])).toBe(
      '[{"modelName":"m1","modelSpec":{"storageUri":"s3://bucket/m1","framework":"sklearn","memory":"256Mi"}},' +
        '{"modelName":"m2","modelSpec":{"storageUri":"s3://bucket/m2","framework":"sklearn","memory":"256Mi"}}]',
    );
  });

  it('escapes as Go does', () => {
    expect(encodeModels([entry('m', 'https://h/?a=<1>&b=2')])).toContain('https://h/?a=\\u003c1\\u003e\\u0026b=2');
  });

  it('takes missing and empty text for no models, and the last of two with one name', () => {
    expect([parseModels(undefined), parseModels(' '), parseModels('[]'), parseModels('null')]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    expect(
      parseModels(encodeModels([entry('m', 's3://old')]).replace(']', `,${encodeModels([entry('m')]).slice(1)}`)),
    ).toEqual([entry('m')]);
  });

  it('says what it is when it is broken', () => {
    expect(() => parseModels('{')).toThrow('models.json is not a list of models');
  });

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 20 }), fc.string(), (names, uri) => {
        const models = names.map((name) => entry(name, uri));

        expect(new Set(parseModels(encodeModels(models)))).toEqual(new Set(models));
      }),
    );
  });
});
