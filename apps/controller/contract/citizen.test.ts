import type { ResourceName } from '@roundhouse/crds';
import type { Resource } from '@roundhouse/kube';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../src/cluster.ts';
import { names } from '../src/testing/builders.ts';
import {
  applyService,
  conditionOf,
  kubeconfigOf,
  openWorld,
  podOf,
  real,
  startController,
  tokenFor,
  type World,
} from './world.ts';

/** How the controller behaves in somebody's cluster: with strict rules, with few permissions, beside others who write. */
const forever = new AbortController().signal;
const soon = { timeout: 15_000 };
const rbac = (resource: string): Resource => ({ group: 'rbac.authorization.k8s.io', version: 'v1', resource });

const scaled = { onnx: { resources: { limits: { cpu: '500m', memory: '1Gi' } } }, minReplicas: 2, maxReplicas: 4 };

describe(`a good citizen (${real === undefined ? 'embedded' : 'real'} API server)`, () => {
  let world: World;
  let end: () => Promise<unknown>;

  beforeAll(async () => {
    world = await openWorld();
    const controller = await startController(world);
    await controller.leading;
    ({ end } = controller);
  });
  afterAll(() => world?.close());

  const children = async () => {
    const { deployments, services, autoscalers, budgets } = resources;
    const get = (resource: ResourceName) => world.kube.get(resource, world.namespace, 'shared-predictor', forever);
    return await Promise.all([deployments, services, autoscalers, budgets].map(get));
  };

  it('makes objects that the API server takes, and pods that pass Pod Security and quotas', async () => {
    await applyService(world, 'shared', scaled);
    await expect.poll(async () => (await children()).includes(undefined), soon).toBe(false);

    expect(await podOf(world, 'shared')).toMatchObject({ metadata: { labels: { app: 'isvc.shared-predictor' } } });
    expect(await conditionOf(world, names.inferenceServices, 'shared', 'PredictorReady')).not.toMatchObject({
      reason: 'ApplyFailed',
    });
  });

  it('makes them for a service with the longest name as well', async () => {
    const name = `${'long-'.repeat(10)}est`;
    await applyService(world, name, scaled);

    expect(await podOf(world, name)).toMatchObject({ metadata: { labels: { [names.labels.service]: name } } });
  });

  it('writes nothing again because of defaults that others added, and what somebody changed only once', async () => {
    const generations = async () => (await children()).map((child) => child?.metadata.generation ?? 1);
    const before = await generations();
    const target = { namespace: world.namespace, name: 'shared-predictor' };
    // Something of theirs that is none of our business, and something of ours.
    await world.kube.patch(resources.services, target, { metadata: { annotations: { 'a.org/x': 'y' } } }, forever);
    const label = { 'serving.kserve.io/inferenceservice': 'shared', component: null };
    await world.kube.patch(resources.deployments, target, { metadata: { labels: label } }, forever);
    const component = async () => (await children())[0]?.metadata.labels?.component;
    await expect.poll(component, soon).toBe('predictor');

    expect(await generations()).toEqual(before);
    expect((await children())[1]?.metadata.annotations).toMatchObject({ 'a.org/x': 'y' });
  });

  it('stops the pods of a service that is gone, though its Deployment may stay for a while', {
    timeout: 90_000,
  }, async () => {
    await applyService(world, 'brief');
    const target = { namespace: world.namespace, name: 'brief-predictor' };
    const deployment = () => world.kube.get(resources.deployments, target.namespace, target.name, forever);
    await expect.poll(deployment, soon).toBeDefined();
    const finalizers = ['example.org/looks-first'];
    await world.kube.patch(resources.deployments, target, { metadata: { finalizers } }, forever);
    const { uid = '' } =
      (await world.kube.get(names.inferenceServices, target.namespace, 'brief', forever))?.metadata ?? {};
    await world.kube.delete(names.inferenceServices, { namespace: target.namespace, name: 'brief', uid }, forever);

    await expect.poll(deployment, soon).toMatchObject({ spec: { replicas: 0 } });
    await world.kube.patch(resources.deployments, target, { metadata: { finalizers: null } }, forever);
    // A garbage collector that has just started learns of our kinds after half a minute.
    await expect.poll(deployment, { timeout: 60_000 }).toBeUndefined();
  });

  it('leads clients to the routers by an Ingress that the API server takes', async () => {
    const metadata = { name: 'inferenceservice-config', namespace: world.system };
    const data = { ingress: JSON.stringify({ ingressDomain: 'ml.example.org', ingressClassName: 'nginx' }) };
    await world.kube.create(resources.configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, forever);

    await expect
      .poll(() => world.kube.get(resources.ingresses, world.system, 'roundhouse', forever), soon)
      .toMatchObject({ spec: { rules: [{ host: '*.ml.example.org' }] } });
  });

  it('reads of a Secret what its annotations say, and not what is in it', async () => {
    const annotations = { 'serving.kserve.io/s3-endpoint': 'minio:9000' };
    const metadata = { name: 'keys', namespace: world.namespace, annotations };
    const stringData = { AWS_SECRET_ACCESS_KEY: 'do-not-tell' };
    await world.kube.create(resources.secrets, { apiVersion: 'v1', kind: 'Secret', metadata, stringData }, forever);
    const seen = await world.kube.metadata(resources.secrets, world.namespace, 'keys', forever);

    expect(seen).toMatchObject({ annotations });
    expect(JSON.stringify(seen)).not.toContain(btoa('do-not-tell'));
  });

  it.runIf(real !== undefined)('says which verb on which resource it lacks', { timeout: 60_000 }, async () => {
    await end();
    const path = await kubeconfigOf(world, await limitedToken());
    const { leading, lines } = await startController(world, path);
    await leading;
    await applyService(world, 'denied');
    const verdict = () => conditionOf(world, names.inferenceServices, 'denied', 'PredictorReady');

    await expect.poll(verdict, soon).toMatchObject({
      reason: 'ApplyFailed',
      message: expect.stringMatching(/cannot create resource "deployments" in API group "apps" in the namespace/),
    });
    const told = () => lines.map((line) => JSON.stringify(line)).join('\n');
    await expect.poll(told, soon).toMatch(/cannot list resource .*horizontalpodautoscalers/);
  });

  /** A token of an account that may do everything but make Deployments and see autoscalers. */
  const limitedToken = async () => {
    const account = { namespace: world.system, name: 'limited' };
    const create = (resource: Resource, object: object) => world.kube.create(resource, object, forever);
    await create(resources.serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: account });
    const all = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];
    const rule = (apiGroups: string[], named: string[], verbs = all) => ({ apiGroups, resources: named, verbs });
    const rules = [
      rule([''], ['*']),
      rule(['serving.kserve.io', 'coordination.k8s.io', 'policy', 'authentication.k8s.io'], ['*']),
      rule(['apps'], ['replicasets']),
      rule(['apps'], ['deployments'], ['get', 'list', 'watch']),
    ];
    const { name } = { name: `limited-${world.system}` };
    const rbacVersion = 'rbac.authorization.k8s.io/v1';
    await create(rbac('clusterroles'), { apiVersion: rbacVersion, kind: 'ClusterRole', metadata: { name }, rules });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    const subjects = [{ kind: 'ServiceAccount', ...account }];
    const binding = { apiVersion: rbacVersion, kind: 'ClusterRoleBinding', metadata: { name }, roleRef, subjects };
    await create(rbac('clusterrolebindings'), binding);
    for (const kind of ['clusterroles', 'clusterrolebindings']) {
      world.closers.push(() => world.kube.delete(rbac(kind), { name }, forever));
    }
    return await tokenFor(world, account, undefined, '');
  };
});
