import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from './generated.ts';
import { customResourceDefinitions, inferenceServiceConditions, trainedModelConditions } from './index.ts';

const root = join(import.meta.dirname, '../../..');

describe('generated files', () => {
  it.each(Object.entries(generatedFiles()))('%s is what `pnpm gen` writes', (path, text) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text);
  });

  it('stay far below what client-side apply can hold in an annotation', () => {
    for (const crd of customResourceDefinitions()) expect(JSON.stringify(crd).length).toBeLessThan(128 * 1024);
  });
});

type Schema = { readonly properties?: Readonly<Record<string, Schema>>; readonly items?: Schema };

function fieldsOf(schema: Schema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    if (['apiVersion', 'kind', 'metadata'].includes(path)) return [];
    return [path, ...fieldsOf(child, path), ...(child.items ? fieldsOf(child.items, `${path}[]`) : [])];
  });
}

describe('the reference pages', () => {
  const crds = customResourceDefinitions();
  const pages = [
    ['inference-service', crds[0], inferenceServiceConditions],
    ['trained-model', crds[1], trainedModelConditions],
    ['serving-runtime', crds[2], {}],
  ] as const;

  it.each(pages)('docs/spec/%s.md names every field, condition and reason', (page, crd, conditions) => {
    const text = readFileSync(join(root, 'docs/spec', `${page}.md`), 'utf8');
    const schema = crd?.spec.versions[0]?.schema.openAPIV3Schema as Schema;
    const names = [
      // Of KServe's framework keys the page speaks once: they all take the same fields.
      ...fieldsOf(schema).filter((path) => !/^spec\.predictor\.(?!model\b)[a-z]+\./.test(path)),
      ...Object.entries(conditions).flatMap(([type, { reasons }]) => [type, ...Object.keys(reasons)]),
    ];

    expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
