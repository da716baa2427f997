import { expect } from 'vitest';
import type { Body, Case } from './client.ts';

const configMap = (name: string, data: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;

/** Objects of any kind: writing, reading, listing, conflicts. */
export const objectCases: readonly Case[] = [
  {
    name: 'gives a new object its uid, time and revision, and finds it again',
    async run({ post, get }, namespace) {
      const created = await post(maps(namespace), configMap('a', { key: 'value' }));
      const found = await get(`${maps(namespace)}/a`);

      expect(created.status).toBe(201);
      expect(created.body.metadata).toMatchObject({
        name: 'a',
        namespace,
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      });
      expect(found.body.metadata.uid).toBe(created.body.metadata.uid);
    },
  },
  {
    name: 'answers a second create and an absent name with a Status',
    async run({ post, get }, namespace) {
      await post(maps(namespace), configMap('a'));

      expect((await post(maps(namespace), configMap('a'))).body).toMatchObject({
        kind: 'Status',
        status: 'Failure',
        code: 409,
        reason: 'AlreadyExists',
        message: 'configmaps "a" already exists',
        details: { name: 'a', kind: 'configmaps' },
      });
      expect((await get(`${maps(namespace)}/b`)).body).toMatchObject({
        code: 404,
        reason: 'NotFound',
        message: 'configmaps "b" not found',
      });
    },
  },
  {
    name: 'completes generateName',
    async run({ post }, namespace) {
      const { body } = await post(maps(namespace), { ...configMap(''), metadata: { generateName: 'some-' } });

      expect(body.metadata).toMatchObject({ generateName: 'some-', name: expect.stringMatching(/^some-[a-z0-9]{5}$/) });
    },
  },
  {
    name: 'refuses names and labels that are none',
    async run({ post }, namespace) {
      const { status, body } = await post(
        maps(namespace),
        configMap('Not_A_Name', {}, { labels: { a: 'not a value' } }),
      );

      expect(status).toBe(422);
      expect(body).toMatchObject({ reason: 'Invalid', details: { name: 'Not_A_Name', kind: 'ConfigMap' } });
      expect(body.details.causes.map((cause: Body) => cause.field).sort()).toEqual([
        'metadata.labels',
        'metadata.name',
      ]);
      expect(body.message).toMatch(
        /^ConfigMap "Not_A_Name" is invalid: \[metadata.name: Invalid value: "Not_A_Name": a/,
      );
    },
  },
  {
    name: 'refuses an owner without a uid',
    async run({ post }, namespace) {
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: '' }];
      const { status, body } = await post(maps(namespace), configMap('owned', {}, { ownerReferences }));

      expect(status).toBe(422);
      expect(body.details.causes.map((cause: Body) => cause.field)).toEqual(['metadata.ownerReferences.uid']);
    },
  },
  {
    name: 'refuses an object without a name, in an absent namespace, or of another kind',
    async run({ post }, namespace) {
      const unnamed = await post(maps(namespace), { ...configMap(''), metadata: {} });
      const lost = await post(maps('not-there'), configMap('a'));
      const other = await post(maps(namespace), { ...configMap('a'), kind: 'Secret' });
      const elsewhere = await post(maps(namespace), configMap('a', {}, { namespace: 'default' }));

      expect(unnamed.body.message).toContain('metadata.name: Required value: name or generateName is required');
      expect(lost.body).toMatchObject({ code: 404, message: 'namespaces "not-there" not found' });
      expect(other.status).toBe(400);
      expect(elsewhere.body).toMatchObject({
        code: 400,
        message: 'the namespace of the provided object does not match the namespace sent on the request',
      });
    },
  },
  {
    name: 'replaces with the current revision, or with none, and refuses an old one',
    async run({ post, put }, namespace) {
      const { body: first } = await post(maps(namespace), configMap('a'));
      const second = await put(`${maps(namespace)}/a`, { ...first, data: { key: '2' } });
      const stale = await put(`${maps(namespace)}/a`, { ...first, data: { key: '3' } });
      const blind = await put(`${maps(namespace)}/a`, configMap('a', { key: '4' }));

      expect(Number(second.body.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
      expect(stale.body).toMatchObject({
        code: 409,
        reason: 'Conflict',
        message:
          'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
      });
      expect(blind.body.data).toEqual({ key: '4' });
    },
  },
  {
    name: 'writes nothing when nothing changes',
    async run({ post, put }, namespace) {
      const { body: first } = await post(maps(namespace), configMap('a', { key: 'value' }));
      const { body: again } = await put(`${maps(namespace)}/a`, first);

      expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    },
  },
  {
    name: 'tries a write without writing',
    async run({ post, get }, namespace) {
      const tried = await post(`${maps(namespace)}?dryRun=All`, configMap('a'));

      expect(tried.status).toBe(201);
      expect((await get(`${maps(namespace)}/a`)).status).toBe(404);
    },
  },
  {
    name: 'lists by labels and names, in pieces that belong together',
    async run({ post, get }, namespace) {
      for (const name of ['a', 'b', 'c', 'd']) {
        await post(maps(namespace), configMap(name, {}, { labels: { half: name < 'c' ? 'first' : 'second', name } }));
      }
      const names = async (query: string) =>
        (await get(`${maps(namespace)}?${query}`)).body.items
          .map((item: Body) => item.metadata.name)
          .filter((name: string) => name !== 'kube-root-ca.crt');

      expect(await names('labelSelector=half%3Dfirst')).toEqual(['a', 'b']);
      expect(await names('labelSelector=name+in+(a,d),half!%3Dfirst')).toEqual(['d']);
      expect(await names('labelSelector=!half')).toEqual([]);
      expect(await names('fieldSelector=metadata.name%3Dc')).toEqual(['c']);
      const selected = 'labelSelector=half&limit=3';
      const first = (await get(`${maps(namespace)}?${selected}`)).body;
      expect(first.items.map((item: Body) => item.metadata.name)).toEqual(['a', 'b', 'c']);
      await post(maps(namespace), configMap('e', {}, { labels: { half: 'third' } }));
      const next = (await get(`${maps(namespace)}?${selected}&continue=${first.metadata.continue}`)).body;
      expect(next.items.map((item: Body) => item.metadata.name)).toEqual(['d']);
      expect(next.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      expect(next.metadata.continue ?? '').toBe('');
    },
  },
  {
    name: 'patches by JSON patch, by merge and by strategic merge',
    async run({ post, patch }, namespace) {
      const service = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 's' },
        spec: { selector: { app: 'a' }, ports: [{ name: 'one', port: 1 }] },
      };
      const at = `/api/v1/namespaces/${namespace}/services`;
      await post(at, service);
      const merged = await patch(`${at}/s`, { metadata: { labels: { a: 'b' } } });
      const jsonType = 'application/json-patch+json';
      const edited = await patch(`${at}/s`, [{ op: 'replace', path: '/metadata/labels/a', value: 'c' }], jsonType);
      const failed = await patch(`${at}/s`, [{ op: 'test', path: '/metadata/labels/a', value: 'x' }], jsonType);
      const strategicType = 'application/strategic-merge-patch+json';
      const added = await patch(`${at}/s`, { spec: { ports: [{ name: 'two', port: 2 }] } }, strategicType);
      const dropped = await patch(`${at}/s`, { spec: { ports: [{ port: 1, $patch: 'delete' }] } }, strategicType);

      expect(merged.body.metadata.labels).toEqual({ a: 'b' });
      expect(edited.body.metadata.labels).toEqual({ a: 'c' });
      expect(failed.status).toBe(422);
      expect(added.body.spec.ports.map((port: Body) => port.port).sort()).toEqual([1, 2]);
      expect(dropped.body.spec.ports.map((port: Body) => port.port)).toEqual([2]);
    },
  },
  {
    name: 'keeps status apart from the rest, and counts generations',
    async run({ post, put, patch, get }, namespace) {
      const at = `/apis/apps/v1/namespaces/${namespace}/replicasets`;
      const labels = { app: 'a' };
      const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
      const spec = { replicas: 0, selector: { matchLabels: labels }, template };
      const { body } = await post(at, {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: { name: 'r' },
        spec,
        status: { replicas: 7 },
      });
      expect(body.metadata.generation).toBe(1);
      expect(body.status).toEqual({ replicas: 0 });

      const merge = 'application/merge-patch+json';
      const ignored = await patch(
        `${at}/r/status`,
        { spec: { replicas: 5 }, status: { fullyLabeledReplicas: 0 } },
        merge,
      );
      expect(ignored.body).toMatchObject({ metadata: { generation: 1 }, spec: { replicas: 0 } });
      const scaled = await put(`${at}/r/scale`, {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'r', namespace },
        spec: { replicas: 0 },
      });
      expect(scaled.body).toMatchObject({ kind: 'Scale', spec: {}, status: { replicas: 0, selector: 'app=a' } });
      const changed = await patch(`${at}/r`, { spec: { minReadySeconds: 3 } }, merge);
      expect(changed.body.metadata.generation).toBe(2);
      expect((await get(`${at}/r`)).body.spec.minReadySeconds).toBe(3);
    },
  },
  {
    name: 'fills in the defaults of a Deployment and a Service',
    async run({ post }, namespace) {
      const labels = { app: 'a' };
      const { body: deployment } = await post(`/apis/apps/v1/namespaces/${namespace}/deployments`, {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd' },
        spec: {
          replicas: 0,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              containers: [
                {
                  name: 'c',
                  image: 'i:1',
                  ports: [{ containerPort: 80 }],
                  readinessProbe: { httpGet: { port: 80 } },
                  resources: { limits: { memory: '1Gi' } },
                },
              ],
              volumes: [{ name: 'v', configMap: { name: 'm' } }, { name: 'e' }],
            },
          },
        },
      });
      const { body: service } = await post(`/api/v1/namespaces/${namespace}/services`, {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 's' },
        spec: { clusterIP: 'None', ports: [{ port: 80 }] },
      });

      expect(deployment.spec).toMatchObject({
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        template: {
          spec: {
            restartPolicy: 'Always',
            dnsPolicy: 'ClusterFirst',
            terminationGracePeriodSeconds: 30,
            securityContext: {},
            volumes: [
              { name: 'v', configMap: { name: 'm', defaultMode: 420 } },
              { name: 'e', emptyDir: {} },
            ],
          },
        },
      });
      expect(deployment.spec.template.spec.containers[0]).toEqual({
        name: 'c',
        image: 'i:1',
        imagePullPolicy: 'IfNotPresent',
        ports: [{ containerPort: 80, protocol: 'TCP' }],
        readinessProbe: {
          failureThreshold: 3,
          httpGet: { path: '/', port: 80, scheme: 'HTTP' },
          periodSeconds: 10,
          successThreshold: 1,
          timeoutSeconds: 1,
        },
        resources: { limits: { memory: '1Gi' } },
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
      });
      expect(service.spec).toMatchObject({
        type: 'ClusterIP',
        clusterIP: 'None',
        sessionAffinity: 'None',
        internalTrafficPolicy: 'Cluster',
        ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      });
    },
  },
];
