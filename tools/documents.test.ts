import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What the documents say is held against what is there. */

const root = join(import.meta.dirname, '..');
const documents = ['.', 'docs', 'docs/adr', 'docs/how-to', 'docs/migrate', 'docs/spec', 'examples'].flatMap(
  (directory) =>
    (existsSync(join(root, directory)) ? readdirSync(join(root, directory)) : [])
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(root, directory, name)),
);
const manifests = ['packages', 'apps']
  .flatMap((directory) => readdirSync(join(root, directory)).map((name) => join(directory, name)))
  .concat('.', 'bench', 'e2e', 'fuzz', 'interop')
  .map((directory) => join(root, directory, 'package.json'))
  .filter((file) => existsSync(file));

describe('the documents', () => {
  it('have no link that leads nowhere', () => {
    const broken = documents.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !existsSync(join(dirname(file), target)))
        .map((target) => `${relative(root, file)}: ${target}`),
    );

    expect(broken).toEqual([]);
  });

  it('name every dependency and what it saves us, and none that is gone', () => {
    const table = readFileSync(join(root, 'docs/dependencies.md'), 'utf8').match(/^\| `.*$/gm) ?? [];
    const named = new Set(
      table.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name)),
    );
    const used = new Set(
      manifests.flatMap((file) => {
        const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(file, 'utf8'));
        return Object.keys({ ...dependencies, ...devDependencies });
      }),
    );
    const others = [...used].filter((name) => !name.startsWith('@roundhouse/') && !name.startsWith('@types/'));

    expect(others.filter((name) => !named.has(name)).sort()).toEqual([]);
    expect([...named].filter((name) => name !== undefined && !used.has(name)).sort()).toEqual([]);
  });

  it('are numbered without a gap where they are decisions', () => {
    const numbers = readdirSync(join(root, 'docs/adr'))
      .map((name) => Number.parseInt(name, 10))
      .sort((a, b) => a - b);

    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });
});
