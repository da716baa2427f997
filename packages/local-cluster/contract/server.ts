import { expect } from 'vitest';
import type { Body, Case } from './client.ts';

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** What is around the objects: discovery, tables, tokens, events. */
export const serverCases: readonly Case[] = [
  {
    name: 'is healthy and says its version',
    async run({ get }) {
      for (const path of ['/livez', '/readyz', '/healthz']) expect((await get(path)).body).toBe('ok');

      expect((await get('/version')).body).toMatchObject({ major: '1', gitVersion: expect.stringMatching(/^v1\.\d+/) });
    },
  },
  {
    name: 'is discovered the old way and the aggregated way',
    async run({ get }) {
      const core = (await get('/api/v1')).body.resources;
      const pods = core.find((item: Body) => item.name === 'pods');
      expect(pods).toMatchObject({
        namespaced: true,
        kind: 'Pod',
        singularName: 'pod',
        shortNames: ['po'],
        categories: ['all'],
      });
      expect([...pods.verbs].sort()).toEqual(
        ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'].sort(),
      );
      expect(core.map((item: Body) => item.name)).toEqual(
        expect.arrayContaining(['pods/log', 'pods/status', 'namespaces']),
      );
      const groups = (await get('/apis')).body.groups;
      expect(groups.find((item: Body) => item.name === 'apps')).toMatchObject({
        preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
      });

      const { body, headers } = await get('/apis', aggregated);
      expect(headers['content-type']).toContain('as=APIGroupDiscoveryList');
      const apps = body.items.find((item: Body) => item.metadata.name === 'apps').versions[0];
      const deployments = apps.resources.find((item: Body) => item.resource === 'deployments');
      expect(deployments).toMatchObject({
        responseKind: { kind: 'Deployment' },
        scope: 'Namespaced',
        singularResource: 'deployment',
        shortNames: ['deploy'],
      });
      expect(deployments.subresources.map((item: Body) => item.subresource).sort()).toEqual(['scale', 'status']);
    },
  },
  {
    name: 'describes its groups in OpenAPI',
    async run({ get }) {
      const { paths } = (await get('/openapi/v3')).body;
      const { body } = await get(paths['apis/apps/v1'].serverRelativeURL);

      expect(body.openapi).toMatch(/^3\.0/);
      expect(body.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].get).toMatchObject({
        'x-kubernetes-action': 'get',
        'x-kubernetes-group-version-kind': { group: 'apps', version: 'v1', kind: 'Deployment' },
      });
    },
  },
  {
    name: 'draws the tables that kubectl prints',
    async run({ post, get }, namespace) {
      const labels = { app: 'a' };
      const container = { name: 'c', image: 'i:1' };
      await post(`/apis/apps/v1/namespaces/${namespace}/deployments`, {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'd' },
        spec: {
          replicas: 0,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [container] } },
        },
      });
      const shownBy = async (path: string) => {
        const { body } = await get(path, table);
        return {
          columns: body.columnDefinitions.map((column: Body) => `${column.name}${column.priority ? '*' : ''}`),
          cells: body.rows[0]?.cells,
        };
      };

      expect(await shownBy(`/apis/apps/v1/namespaces/${namespace}/deployments`)).toEqual({
        columns: ['Name', 'Ready', 'Up-to-date', 'Available', 'Age', 'Containers*', 'Images*', 'Selector*'],
        cells: ['d', '0/0', 0, 0, expect.stringMatching(/^\d+s$/), 'c', 'i:1', 'app=a'],
      });
      expect((await shownBy(`/api/v1/namespaces/${namespace}/pods`)).columns).toEqual([
        'Name',
        'Ready',
        'Status',
        'Restarts',
        'Age',
        'IP*',
        'Node*',
        'Nominated Node*',
        'Readiness Gates*',
      ]);
      expect((await shownBy(`/api/v1/namespaces/${namespace}`)).cells).toEqual([
        namespace,
        'Active',
        expect.stringMatching(/^\d+s$/),
      ]);
    },
  },
  {
    name: 'issues tokens for ServiceAccounts and reviews them',
    async run({ get, post }, namespace) {
      const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
      await expect.poll(async () => (await get(account)).status).toBe(200);
      const request = { spec: { audiences: ['one'], expirationSeconds: 600 } };
      const { status, body } = await post(`${account}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        ...request,
      });
      expect(status).toBe(201);
      expect(body).toMatchObject({ spec: { audiences: ['one'] }, status: { expirationTimestamp: expect.any(String) } });
      const review = async (token: string, audiences: readonly string[]) =>
        (
          await post('/apis/authentication.k8s.io/v1/tokenreviews', {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenReview',
            spec: { token, audiences },
          })
        ).body.status;

      expect(await review(body.status.token, ['one', 'two'])).toMatchObject({
        authenticated: true,
        audiences: ['one'],
        user: {
          username: `system:serviceaccount:${namespace}:default`,
          groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
        },
      });
      expect((await review(body.status.token, ['two'])).authenticated ?? false).toBe(false);
      expect((await review('nonsense', ['one'])).authenticated ?? false).toBe(false);
    },
  },
  {
    name: 'shows the same Events in both groups',
    async run({ post, get }, namespace) {
      await post(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`, {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: 'e', namespace },
        eventTime: '2026-01-01T00:00:00.000000Z',
        reportingController: 'example.com/x',
        reportingInstance: 'x-1',
        action: 'Act',
        reason: 'Because',
        type: 'Normal',
        note: 'it happened',
        regarding: { kind: 'ConfigMap', name: 'c', namespace, apiVersion: 'v1' },
      });
      const found = await get(`/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name%3Dc`);

      expect(found.body.items[0]).toMatchObject({
        message: 'it happened',
        involvedObject: { kind: 'ConfigMap', name: 'c' },
        reportingComponent: 'example.com/x',
      });
    },
  },
  {
    name: 'answers 404 where nothing is served',
    async run({ get }, namespace) {
      const { body } = await get(`/apis/nothing.example.com/v1/namespaces/${namespace}/things`);

      expect(typeof body === 'string' ? body.trim() : body.code).toEqual(
        typeof body === 'string' ? '404 page not found' : 404,
      );
    },
  },
];
