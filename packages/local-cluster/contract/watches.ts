import { expect } from 'vitest';
import type { Body, Case, Watch } from './client.ts';

const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;
const configMap = (name: string, labels: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
});
const own = 'fieldSelector=metadata.name!%3Dkube-root-ca.crt';
const told = (watch: Watch) => watch.events.map(({ type, object }: Body) => `${type} ${object.metadata.name}`);
const tells = (watch: Watch, wanted: readonly string[]) =>
  expect.poll(() => told(watch), { timeout: 10_000 }).toEqual(wanted);

/** Watches: complete, in order, resumable. */
export const watchCases: readonly Case[] = [
  {
    name: 'shows each change once, from the revision of a list on',
    async run({ post, put, get, delete: remove, watch }, namespace) {
      await post(maps(namespace), configMap('before'));
      const { body: list } = await get(maps(namespace));
      const { body: a } = await post(maps(namespace), configMap('a'));
      const stream = await watch(`${maps(namespace)}?watch=1&${own}&resourceVersion=${list.metadata.resourceVersion}`);
      await put(`${maps(namespace)}/a`, { ...a, data: { key: 'value' } });
      await remove(`${maps(namespace)}/a`);

      await tells(stream, ['ADDED a', 'MODIFIED a', 'DELETED a']);
      const revisions = stream.events.map(({ object }: Body) => Number(object.metadata.resourceVersion));
      expect(revisions).toEqual([...revisions].sort((x, y) => x - y));
      expect(new Set(revisions).size).toBe(3);
      stream.close();
    },
  },
  {
    name: 'starts with what is there when no revision is named',
    async run({ post, watch }, namespace) {
      await post(maps(namespace), configMap('a'));
      const stream = await watch(`${maps(namespace)}?watch=1&${own}`);
      await tells(stream, ['ADDED a']);
      await post(maps(namespace), configMap('b'));

      await tells(stream, ['ADDED a', 'ADDED b']);
      stream.close();
    },
  },
  {
    name: 'shows what enters and leaves a selection as added and deleted',
    async run({ post, patch, get, watch }, namespace) {
      const { body: list } = await get(maps(namespace));
      const from = `resourceVersion=${list.metadata.resourceVersion}`;
      const stream = await watch(`${maps(namespace)}?watch=1&labelSelector=on%3Dyes&${from}`);
      await post(maps(namespace), configMap('a', { on: 'no' }));
      await patch(`${maps(namespace)}/a`, { metadata: { labels: { on: 'yes' } } });
      await patch(`${maps(namespace)}/a`, { metadata: { labels: { other: 'label' } } });
      const { body: left } = await patch(`${maps(namespace)}/a`, { metadata: { labels: { on: 'no' } } });

      await tells(stream, ['ADDED a', 'MODIFIED a', 'DELETED a']);
      expect(stream.events.at(-1).object.metadata.resourceVersion).toBe(left.metadata.resourceVersion);
      stream.close();
    },
  },
  {
    name: 'sends the initial state and a bookmark that ends it, when asked to',
    async run({ post, watch }, namespace) {
      await post(maps(namespace), configMap('a'));
      const options = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
      const stream = await watch(`${maps(namespace)}?watch=1&${own}&${options}`);
      await expect.poll(() => stream.events.length, { timeout: 10_000 }).toBe(2);

      expect(stream.events[0]).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } });
      expect(stream.events[1]).toMatchObject({
        type: 'BOOKMARK',
        object: { kind: 'ConfigMap', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
      });
      stream.close();
    },
  },
  {
    name: 'ends when its time is over',
    async run({ watch }, namespace) {
      const stream = await watch(`${maps(namespace)}?watch=1&timeoutSeconds=1`);

      await expect.poll(() => stream.isEnded(), { timeout: 5_000 }).toBe(true);
    },
  },
  {
    name: 'watches one object alone, and all namespaces together',
    async run({ post, watch, get }, namespace) {
      const { body: list } = await get(maps(namespace));
      const from = `watch=1&resourceVersion=${list.metadata.resourceVersion}`;
      const one = await watch(`${maps(namespace)}?${from}&fieldSelector=metadata.name%3Db`);
      const all = await watch(`/api/v1/configmaps?${from}&labelSelector=in%3D${namespace}`);
      for (const name of ['a', 'b']) await post(maps(namespace), configMap(name, { in: namespace }));

      await tells(one, ['ADDED b']);
      await tells(all, ['ADDED a', 'ADDED b']);
      one.close();
      all.close();
    },
  },
];
