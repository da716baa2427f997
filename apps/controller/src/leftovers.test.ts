import type { KubeObject } from '@roundhouse/local-cluster';
import { afterEach, describe, expect, it } from 'vitest';
import { resources } from './cluster.ts';
import { names } from './testing/builders.ts';
import { openEmbedded } from './testing/embedded.ts';
import { closeWorlds, makeAvailable, model, modelSpec, modelsIn, readyOf, runAgent, start } from './testing/world.ts';

afterEach(closeWorlds);

type Deployment = { readonly spec: { readonly template: { readonly spec: PodSpec } } };
type PodSpec = { readonly containers: readonly { readonly name: string; readonly image: string }[] };
type ConfigMap = { readonly data: { readonly 'models.json': string } };

const kserveLabels = { 'serving.kserve.io/inferenceservice': 'shared', app: 'isvc.shared-predictor' };

/** What an uninstalled KServe leaves behind: its CRDs' objects, and what its controller made for them. */
function leftBehind() {
  const { api } = openEmbedded();
  const service = api.create(names.inferenceServices, {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name: 'shared', namespace: 'default', finalizers: ['inferenceservice.finalizers'] },
    spec: { predictor: { model: { modelFormat: { name: 'onnx' } } } },
  });
  const controller = { controller: true, blockOwnerDeletion: true };
  const owner = { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'shared', ...controller };
  const ownerReferences = [{ ...owner, uid: service.metadata.uid as string }];
  const of = (name: string) => ({ name, namespace: 'default', labels: kserveLabels, ownerReferences });
  const selector = { app: kserveLabels.app };
  const container = { name: 'kserve-container', image: 'kserve/server:0.16' };
  const template = {
    metadata: { labels: kserveLabels },
    spec: { containers: [container, { name: 'agent', image: 'kserve/agent:0.16' }] },
  };
  const made: KubeObject[] = [
    { apiVersion: 'v1', kind: 'Service', metadata: of('shared-predictor'), spec: { selector, ports: [{ port: 80 }] } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: of('shared-predictor'),
      spec: { replicas: 1, selector: { matchLabels: selector }, template },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: of('modelconfig-shared-0'),
      data: { 'models.json': JSON.stringify([{ modelName: 'gone', modelSpec: modelSpec().model }]) },
    },
  ];
  api.create(resources.services, made[0] as KubeObject);
  api.create(resources.deployments, made[1] as KubeObject);
  api.create(resources.configMaps, made[2] as KubeObject);
  for (const name of ['iris', 'digits', 'leaving']) {
    api.create(names.trainedModels, {
      apiVersion: 'serving.kserve.io/v1alpha1',
      kind: 'TrainedModel',
      metadata: {
        ...{ name, namespace: 'default', finalizers: ['trainedmodel.finalizer'] },
        labels: { inferenceservice: 'shared', 'serving.kserve.io/trainedmodel-allocated': 'shared' },
      },
      spec: modelSpec(),
    });
  }
  api.delete(names.trainedModels, 'default', 'leaving'); // held by the finalizer of a controller that is gone
  return api;
}

describe('objects that an uninstalled KServe left', () => {
  it('are adopted where they are: children by their owner, models by their finalizer, the ConfigMap by its name', async () => {
    const api = leftBehind();
    const uidOf = (resource: typeof resources.deployments, name: string) =>
      api.get(resource, 'default', name)?.metadata.uid;
    const before = [
      uidOf(resources.deployments, 'shared-predictor'),
      uidOf(resources.configMaps, 'modelconfig-shared-0'),
      uidOf(resources.services, 'shared-predictor'),
    ];
    expect(model({ api } as never, 'leaving')?.metadata.deletionTimestamp).toBeDefined();
    const world = await start(api);
    runAgent(world, 'one');
    makeAvailable(world);

    await expect.poll(() => modelsIn(world, 0)).toEqual(['digits', 'iris']);
    await expect.poll(() => readyOf(world, 'iris')).toBe('True');
    await expect.poll(() => model(world, 'leaving')).toBeUndefined();
    const { spec } = api.get(resources.deployments, 'default', 'shared-predictor') as unknown as Deployment;
    expect(spec.template.spec.containers.find(({ name }) => name === 'agent')?.image).not.toMatch(/kserve/);
    expect([
      uidOf(resources.deployments, 'shared-predictor'),
      uidOf(resources.configMaps, 'modelconfig-shared-0'),
      uidOf(resources.services, 'shared-predictor'),
    ]).toEqual(before);
  });

  it('go back to KServe as it knows them: its finalizer, its labels, its ConfigMap in its own form', async () => {
    const world = await start(leftBehind());
    runAgent(world, 'one');
    makeAvailable(world);
    await expect.poll(() => readyOf(world, 'iris')).toBe('True');

    const { metadata } = model(world, 'iris') ?? {};
    expect(metadata?.finalizers).toEqual(['trainedmodel.finalizer']);
    expect(metadata?.labels).toMatchObject({ inferenceservice: 'shared' });
    const config = world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0') as unknown as ConfigMap;
    expect(JSON.parse(config.data['models.json'])).toContainEqual({ modelName: 'iris', modelSpec: modelSpec().model });
    const service = world.api.get(names.inferenceServices, 'default', 'shared');
    expect(service?.metadata.finalizers).toEqual(['inferenceservice.finalizers']);
  });
});
