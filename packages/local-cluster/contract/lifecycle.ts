import { expect } from 'vitest';
import type { Body, Case, Client } from './client.ts';

const configMap = (name: string, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
});
const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;
const ownedBy = ({ metadata }: Body, blockOwnerDeletion = true) => ({
  ownerReferences: [
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: metadata.name,
      uid: metadata.uid,
      controller: true,
      blockOwnerDeletion,
    },
  ],
});
const isGone = (client: Client, path: string) =>
  expect.poll(async () => (await client.get(path)).status, { timeout: 15_000 }).toBe(404);

/** How objects go: finalizers, owners, namespaces, Pods. */
export const lifecycleCases: readonly Case[] = [
  {
    name: 'keeps an object until its last finalizer is gone',
    async run(client, namespace) {
      const at = `${maps(namespace)}/a`;
      await client.post(maps(namespace), configMap('a', { finalizers: ['example.com/one'] }));
      const deleted = await client.delete(at);
      const added = await client.patch(at, { metadata: { finalizers: ['example.com/one', 'example.com/two'] } });
      const again = await client.delete(at);
      await client.patch(at, { metadata: { finalizers: null } });

      expect(deleted.body.metadata).toMatchObject({
        deletionTimestamp: expect.any(String),
        deletionGracePeriodSeconds: 0,
      });
      expect(again.body.metadata.deletionTimestamp).toBe(deleted.body.metadata.deletionTimestamp);
      expect(added.body.message).toContain(
        'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/two"}',
      );
      expect((await client.get(at)).status).toBe(404);
    },
  },
  {
    name: 'answers a finished delete with a Status, and minds preconditions',
    async run({ post, delete: remove }, namespace) {
      const { body } = await post(maps(namespace), configMap('a'));
      const refused = await remove(`${maps(namespace)}/a`, { preconditions: { uid: 'another' } });
      const done = await remove(`${maps(namespace)}/a`, { preconditions: { uid: body.metadata.uid } });

      expect(refused.body).toMatchObject({ code: 409, reason: 'Conflict' });
      expect(done.body).toMatchObject({
        kind: 'Status',
        status: 'Success',
        details: { name: 'a', kind: 'configmaps' },
      });
    },
  },
  {
    name: 'takes dependents along, in the background',
    async run(client, namespace) {
      const { body: owner } = await client.post(maps(namespace), configMap('owner'));
      await client.post(maps(namespace), configMap('child', ownedBy(owner)));
      await client.delete(`${maps(namespace)}/owner`, { propagationPolicy: 'Background' });

      await isGone(client, `${maps(namespace)}/child`);
    },
  },
  {
    name: 'takes dependents first, in the foreground',
    async run(client, namespace) {
      const { body: owner } = await client.post(maps(namespace), configMap('owner'));
      await client.post(maps(namespace), configMap('child', { ...ownedBy(owner), finalizers: ['example.com/wait'] }));
      const { body } = await client.delete(`${maps(namespace)}/owner`, { propagationPolicy: 'Foreground' });
      expect(body.metadata.finalizers).toEqual(['foregroundDeletion']);

      await expect
        .poll(async () => (await client.get(`${maps(namespace)}/child`)).body.metadata.deletionTimestamp, {
          timeout: 15_000,
        })
        .toBeDefined();
      expect((await client.get(`${maps(namespace)}/owner`)).status).toBe(200);
      await client.patch(`${maps(namespace)}/child`, { metadata: { finalizers: null } });
      await isGone(client, `${maps(namespace)}/owner`);
    },
  },
  {
    name: 'lets dependents go on alone when it orphans them',
    async run(client, namespace) {
      const { body: owner } = await client.post(maps(namespace), configMap('owner'));
      await client.post(maps(namespace), configMap('child', ownedBy(owner)));
      await client.delete(`${maps(namespace)}/owner`, { propagationPolicy: 'Orphan' });
      await isGone(client, `${maps(namespace)}/owner`);
      const { body: child } = await client.get(`${maps(namespace)}/child`);

      expect(child.metadata.ownerReferences).toBeUndefined();
      expect(child.metadata.deletionTimestamp).toBeUndefined();
    },
  },
  {
    name: 'removes what names an owner that never was',
    async run(client, namespace) {
      const never = { metadata: { name: 'never', uid: '11111111-2222-3333-4444-555555555555' } };
      await client.post(maps(namespace), configMap('child', ownedBy(never)));

      await isGone(client, `${maps(namespace)}/child`);
    },
  },
  {
    name: 'deletes a collection by label',
    async run({ post, get, delete: remove }, namespace) {
      await post(maps(namespace), configMap('a', { labels: { pick: 'yes' } }));
      await post(maps(namespace), configMap('b'));
      await remove(`${maps(namespace)}?labelSelector=pick%3Dyes`);

      expect((await get(`${maps(namespace)}/a`)).status).toBe(404);
      expect((await get(`${maps(namespace)}/b`)).status).toBe(200);
    },
  },
  {
    name: 'empties a namespace before it goes, and lets nothing new in',
    async run(client) {
      const { body } = await client.post('/api/v1/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { generateName: 'contract-going-' },
      });
      const { name, labels } = body.metadata;
      expect(labels).toEqual({ 'kubernetes.io/metadata.name': name });
      expect(body).toMatchObject({ spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } });
      await client.post(maps(name), configMap('a', { finalizers: ['example.com/wait'] }));
      const { body: going } = await client.delete(`/api/v1/namespaces/${name}`);
      expect(going).toMatchObject({
        metadata: { deletionTimestamp: expect.any(String) },
        status: { phase: 'Terminating' },
      });

      const refused = await client.post(maps(name), configMap('b'));
      expect(refused.body).toMatchObject({
        code: 403,
        reason: 'Forbidden',
        message: `configmaps "b" is forbidden: unable to create new content in namespace ${name} because it is being terminated`,
      });
      await client.patch(`${maps(name)}/a`, { metadata: { finalizers: null } });
      await isGone(client, `/api/v1/namespaces/${name}`);
    },
  },
  {
    name: 'has a default ServiceAccount in each namespace',
    async run(client, namespace) {
      await expect
        .poll(async () => (await client.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status)
        .toBe(200);
    },
  },
  {
    name: 'ends a Pod at once that no node has, and gracefully one that a node runs',
    async run(client, namespace) {
      const at = `/api/v1/namespaces/${namespace}/pods`;
      await expect
        .poll(async () => (await client.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status)
        .toBe(200);
      const pod = (name: string, nodeName?: string) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace },
        spec: { containers: [{ name: 'c', image: 'i' }], ...(nodeName && { nodeName }), schedulerName: 'nobody' },
      });
      const { body: waiting } = await client.post(at, pod('waiting'));
      expect(waiting).toMatchObject({
        status: { phase: 'Pending', qosClass: 'BestEffort' },
        metadata: { generation: 1 },
      });
      await client.delete(`${at}/waiting`);
      expect((await client.get(`${at}/waiting`)).status).toBe(404);

      await client.post(at, pod('running', 'some-node'));
      const { body: ending } = await client.delete(`${at}/running`, { gracePeriodSeconds: 20 });
      expect(ending.metadata).toMatchObject({ deletionTimestamp: expect.any(String), deletionGracePeriodSeconds: 20 });
      const { body: sooner } = await client.delete(`${at}/running`, { gracePeriodSeconds: 5 });
      expect(sooner.metadata.deletionGracePeriodSeconds).toBe(5);
      await client.delete(`${at}/running`, { gracePeriodSeconds: 0 });
      expect((await client.get(`${at}/running`)).status).toBe(404);
    },
  },
  {
    name: 'refuses to change what a Pod runs',
    async run(client, namespace) {
      const at = `/api/v1/namespaces/${namespace}/pods`;
      await expect
        .poll(async () => (await client.get(`/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status)
        .toBe(200);
      const spec = { containers: [{ name: 'c', image: 'i:1' }], schedulerName: 'nobody' };
      await client.post(at, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec });
      const strategic = 'application/strategic-merge-patch+json';
      const image = await client.patch(`${at}/p`, { spec: { containers: [{ name: 'c', image: 'i:2' }] } }, strategic);
      const command = await client.patch(
        `${at}/p`,
        { spec: { containers: [{ name: 'c', command: ['x'] }] } },
        strategic,
      );

      expect(image.body.spec.containers[0].image).toBe('i:2');
      expect(command.status).toBe(422);
      expect(command.body.message).toContain('spec: Forbidden: pod updates may not change fields other than');
    },
  },
];
