import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chartFiles } from '../generate/chart.ts';
import { dockerfiles } from '../generate/dockerfiles.ts';
import { kustomizeFiles } from '../generate/kustomize.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
const base = await kustomizeFiles();

describe('generated files', () => {
  it.each(Object.entries({ ...chartFiles(), ...dockerfiles() }))('%s is what `pnpm gen` writes', (path, text) => {
    expect(read(path)).toBe(text);
  });

  // Without helm there is nothing to compare with.
  it.runIf(base !== undefined).each(Object.entries(base ?? {}))('%s is what the chart renders to', (path, text) => {
    expect(read(path)).toBe(text);
  });
});
