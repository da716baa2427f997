import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Results, renderPage, type ServerResult } from './report.ts';
import { containerOf, servers } from './servers.ts';

const read = (path: string) => readFileSync(join(import.meta.dirname, path), 'utf8');

const aResult: ServerResult = {
  name: 'kserve-mlserver',
  title: 'MLServer 1',
  date: '2026-01-01',
  note: undefined,
  protocols: ['v2', 'grpc'],
  frameworks: ['sklearn'],
  steps: [
    { title: 'answers', protocol: 'v2', problem: undefined, note: undefined },
    { title: 'answers', protocol: 'grpc', problem: 'it said\nno', note: undefined },
  ],
  clients: [{ way: 'a client', problem: undefined }],
  loading: [{ models: 1000, ms: 12_345 }],
};

describe('the page of results', () => {
  it('says what passed, what did not and why, and how long it took', () => {
    const page = renderPage({ machine: '', servers: [aResult] });

    expect(page).toMatch(/\| answers +\| v2 ✓, grpc ✗ \|/);
    expect(page).toContain('- kserve-mlserver: answers grpc: it said no\n');
    expect(page).toMatch(/\| 1,000 models +\| 12\.35 s/);
  });

  it('is what the last runs wrote', () => {
    const results: Results = JSON.parse(read('results.json'));

    expect(read('../docs/compatibility.md')).toBe(renderPage(results));
    expect(results.servers.map(({ name }) => name)).toEqual(servers.map(({ name }) => name));
  });
});

describe('the servers', () => {
  it.each(servers.map((server) => [server.name, server] as const))('%s has its runtime', (_, server) => {
    expect(containerOf(server).image).not.toBe('');
  });
});
