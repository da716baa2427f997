import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');

describe('docs/spec/errors.md', () => {
  it('lists every reason that the router and the relay give', () => {
    const page = readFileSync(join(root, 'docs/spec/errors.md'), 'utf8');
    const listed = new Set([...page.matchAll(/^\| `([a-z-]+)`/gm)].map(([, reason]) => reason));
    const given = ['packages/http-relay/src', 'packages/http-relay/src/h2', 'apps/router/src']
      .flatMap((directory) => readdirSync(join(root, directory)).map((name) => join(root, directory, name)))
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/reason: '([a-z-]+)'/g)].map(([, reason]) => reason));

    expect(given.length).toBeGreaterThan(10);
    expect(given.filter((reason) => !listed.has(reason))).toEqual([]);
  });
});
