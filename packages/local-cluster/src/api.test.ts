import { systemClock, systemRandom } from '@roundhouse/base';
import { afterEach, describe, expect, it } from 'vitest';
import { createApi, type KubeObject, openStore, type WatchEvent } from './index.ts';

const configMaps = { group: '', resource: 'configmaps' };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function startApi() {
  const store = openStore({ file: ':memory:' });
  const api = createApi({ store, clock: systemClock, random: systemRandom });
  closers.push(
    () => store.close(),
    () => api.close(),
  );
  return api;
}

function configMap(name: string, data: Record<string, string> = {}): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

describe('createApi', () => {
  it('refuses a write that is based on an old version', () => {
    const api = startApi();
    const created = api.create(configMaps, configMap('a'));
    api.update(configMaps, { ...created, data: { key: 'one' } });

    expect(() => api.update(configMaps, { ...created, data: { key: 'two' } })).toThrow(/object has been modified/);
  });

  it('hands every change to a watch once and in order', async () => {
    const api = startApi();
    const { resourceVersion } = api.list(configMaps);
    const events: WatchEvent[] = [];
    api.create(configMaps, configMap('before'));
    closers.push(api.watch(configMaps, { resourceVersion }, (event) => events.push(event)));
    const after = api.create(configMaps, configMap('after'));
    api.update(configMaps, { ...after, data: { a: 'b' } });
    api.delete(configMaps, 'default', 'before');
    await expect.poll(() => events.length).toBe(4);

    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
      'ADDED before',
      'ADDED after',
      'MODIFIED after',
      'DELETED before',
    ]);
  });
});
