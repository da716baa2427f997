import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApi, openStore } from './index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'store-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const key = '/configmaps';
const object = (name: string, revision: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', resourceVersion: String(revision) },
});

describe('openStore', () => {
  it('keeps objects, revisions and the log across a restart', () => {
    const file = join(directory, 'store.db');
    const before = openStore({ file });
    before.put(key, (revision) => object('a', revision));
    const b = before.put(key, (revision) => object('b', revision));
    before.remove(key, b);
    before.close();
    const after = openStore({ file });

    expect(after.revision).toBe(3);
    expect(after.list(key, undefined).map(({ metadata }) => metadata.name)).toEqual(['a']);
    expect(after.since(key, 1)?.map(({ type }) => type)).toEqual(['ADDED', 'DELETED']);
    after.close();
  });

  it('is in use until its owner closes it', () => {
    const file = join(directory, 'store.db');
    const first = openStore({ file });

    expect(() => openStore({ file })).toThrow(/in use by another local cluster/);
    first.close();
    openStore({ file }).close();
  });

  it('has every change whose write returned, though its process is killed', async () => {
    const file = join(directory, 'store.db');
    const script = join(directory, 'write.ts');
    const source = `
      import { openStore } from '${join(import.meta.dirname, 'store.ts')}';
      const store = openStore({ file: '${file}' });
      for (let n = 1; ; n++) {
        store.put('/configmaps', (revision) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'n' + n } }));
        process.stdout.write(n + '\\n');
      }`;
    writeFileSync(script, source);
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let written = '';
    child.stdout.on('data', (chunk) => {
      written += chunk;
      if (written.length > 500) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const last = Number(written.trim().split('\n').at(-1));
    const store = openStore({ file });

    expect(last).toBeGreaterThan(50);
    expect(store.get('/configmaps', '', `n${last}`)).toBeDefined();
    store.close();
  });

  it('forgets old changes, and says so', () => {
    const store = openStore({ file: ':memory:' });
    const api = createApi({ store, clock: systemClock, random: systemRandom });
    const configMaps = { group: '', resource: 'configmaps' };
    const { resourceVersion } = api.list(configMaps);
    for (let n = 0; n < 9_000; n++) store.put(key, (revision) => object('same', revision));

    expect(() => api.watch(configMaps, { resourceVersion }, () => {})).toThrow(
      expect.objectContaining({ status: 410, reason: 'Expired' }),
    );
    expect(store.since(key, store.revision - 10)).toHaveLength(10);
    api.close();
    store.close();
  });
});
