import { afterEach, describe, expect, it } from 'vitest';
import type { Fleet } from '../assignments/fleet.ts';
import type { Service } from '../assignments/service.ts';
import { type Cluster, resources, type Stored } from '../cluster.ts';
import type { ServiceView } from '../inference-service/view.ts';
import { aView, names } from '../testing/builders.ts';
import { clusterOn, openEmbedded } from '../testing/embedded.ts';
import {
  aMultiModelService,
  apply,
  closeWorlds,
  conditionOf,
  deploymentOf,
  model,
  modelSpec,
  modelsIn,
  start,
  startService,
  type World,
} from '../testing/world.ts';
import { createShardWriter } from './writer.ts';

afterEach(closeWorlds);

/** Four of these fill a shard. */
const long = { storageUri: `s3://bucket/${'long/'.repeat(40_000)}` };

const config = ({ api }: World, shard: number) =>
  api.get(resources.configMaps, 'default', `modelconfig-shared-${shard}`) as Stored | undefined;
const service = ({ api }: World) => api.get(names.inferenceServices, 'default', 'shared') as Stored | undefined;

const aServiceOf = (view: ServiceView): Service => ({
  ...{ key: 'default/shared', namespace: 'default', name: 'shared', view, heldBytes: 0, heldGpuBytes: 0 },
  ...{ models: new Map(), holdings: new Map(), replicas: new Map(), waiting: new Set() },
});

const uid = 'uid-of-the-service';

/** What an informer still holds of a ConfigMap that somebody has deleted. */
const stale: Stored = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    namespace: 'default',
    name: 'modelconfig-shared-0',
    ownerReferences: [{ apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService', name: 'shared', uid }],
  },
  data: { 'models.json': 'broken' },
};

describe('the ConfigMaps of a service', () => {
  it('are written once for many changes, and only the one that changed', async () => {
    const world = await startService();
    for (let index = 0; index < 5; index++) apply(world, 'TrainedModel', `long-${index}`, modelSpec(long));
    await expect.poll(() => modelsIn(world, 1)).toEqual(['long-4']);
    const versions = () => [0, 1].map((shard) => Number(config(world, shard)?.metadata.resourceVersion));
    const writes: string[] = [];
    world.api.watch(resources.configMaps, { resourceVersion: String(Math.max(...versions())) }, ({ object }) =>
      writes.push(object.metadata.name),
    );
    const [first] = versions();
    const template = JSON.stringify(world.api.get(resources.deployments, 'default', 'shared-predictor')?.spec);
    for (let index = 0; index < 50; index++) apply(world, 'TrainedModel', `short-${index}`, modelSpec());
    await expect.poll(() => modelsIn(world, 1)?.length).toBe(1);
    await expect.poll(() => modelsIn(world, 0)?.length).toBe(54);

    expect(writes.filter((name) => name === 'modelconfig-shared-0').length).toBeLessThanOrEqual(3);
    expect(writes.filter((name) => name === 'modelconfig-shared-1')).toEqual([]);
    expect(versions()[0]).toBeGreaterThan(first ?? 0);
    expect(JSON.stringify(world.api.get(resources.deployments, 'default', 'shared-predictor')?.spec)).toBe(template);
  });

  it('keep every model where it is, through a change and through a restart of the controller', async () => {
    const world = await startService();
    for (let index = 0; index < 6; index++) apply(world, 'TrainedModel', `m${index}`, modelSpec(long));
    await expect.poll(() => modelsIn(world, 1)).toEqual(['m4', 'm5']);
    world.api.delete(names.trainedModels, 'default', 'm0');
    await expect.poll(() => modelsIn(world, 0)).toEqual(['m1', 'm2', 'm3']);

    const again = await start(world.api);
    apply(again, 'TrainedModel', 'm6', modelSpec(long));

    await expect.poll(() => modelsIn(world, 0)).toEqual(['m1', 'm2', 'm3', 'm6']);
    expect(modelsIn(world, 1)).toEqual(['m4', 'm5']);
  });

  it('are taken back when somebody took their label away', async () => {
    const world = await startService();
    apply(world, 'TrainedModel', 'a', modelSpec());
    await expect.poll(() => modelsIn(world, 0)).toEqual(['a']);
    const stored = world.api.get(resources.configMaps, 'default', 'modelconfig-shared-0');
    if (stored === undefined) throw new Error('no ConfigMap');
    world.api.update(resources.configMaps, { ...stored, metadata: { ...stored.metadata, labels: {} }, data: {} });

    await expect.poll(() => modelsIn(world, 0)).toEqual(['a']);
  });

  it.each([
    ['somebody made', {}],
    ['somebody made, with our label', { labels: { [names.labels.service]: 'shared' } }],
  ])('are not taken from who has one of their names: %s', async (_, labelled) => {
    const world = await start();
    const metadata = { name: 'modelconfig-shared-0', namespace: 'default', ...labelled };
    const theirs = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { theirs: 'yes' } };
    const before = world.api.create(resources.configMaps, theirs);
    await aMultiModelService(world);
    const message = 'ConfigMap modelconfig-shared-0 does not belong to this service: delete or rename it';
    await expect
      .poll(() => conditionOf(service(world), 'PredictorReady'))
      .toMatchObject({ status: 'False', reason: 'ApplyFailed', message });
    const after = config(world, 0);
    world.api.delete(resources.configMaps, 'default', 'modelconfig-shared-0');

    await expect.poll(() => conditionOf(service(world), 'PredictorReady')?.status).toBe('True');
    expect(after).toEqual(before);
    expect(modelsIn(world, 0)).toEqual([]);
  });

  it('belong to the service that they were rendered for, though it goes while they are written', async () => {
    const { api, close } = openEmbedded();
    const service = aServiceOf(aView({ uid }));
    const cluster: Cluster = {
      ...clusterOn(api),
      async patch() {
        service.view = undefined; // a watch brings the deletion while the API server answers
        return undefined;
      },
    };
    const { write } = createShardWriter({
      ...{ names, cluster, touch() {}, onStanding() {} },
      views: { modelConfigs: { get: () => stale, list: () => [] } },
      fleet: { services: new Map([[service.key, service]]) } as unknown as Fleet,
    });
    await write(`${service.key}/0`, new AbortController().signal);
    const stored = api.get(resources.configMaps, 'default', 'modelconfig-shared-0');
    close();

    expect(stored?.metadata.ownerReferences).toMatchObject([{ kind: 'InferenceService', name: 'shared', uid }]);
  });

  it('tell when all sixteen are full, and make room for who waits', { timeout: 60_000 }, async () => {
    const world = await startService();
    for (let index = 0; index < 66; index++) apply(world, 'TrainedModel', `m${index}`, modelSpec(long));

    await expect
      .poll(() => conditionOf(service(world), 'ModelConfigFull'), { timeout: 20_000 })
      .toMatchObject({ status: 'True', reason: 'AllShardsFull', message: expect.stringMatching(/^2 models/) });
    expect(world.events).toContain('InferenceService/shared AllShardsFull');
    await expect.poll(() => modelsIn(world, 15)?.length).toBe(4);
    for (const name of modelsIn(world, 3)?.slice(0, 2) ?? []) world.api.delete(names.trainedModels, 'default', name);

    await expect.poll(() => conditionOf(service(world), 'ModelConfigFull'), { timeout: 20_000 }).toBeUndefined();
    await expect.poll(() => modelsIn(world, 3)?.length).toBe(4);
    expect(model(world, 'm65')).toBeDefined();
  });

  it('are optional sources of one volume from the first day, the first one where KServe looks', async () => {
    const world = await startService();
    const stored = world.api.get(resources.deployments, 'default', 'shared-predictor');
    const plan = { kind: 'apply', children: [{ ...stored, kind: 'Deployment' }] };
    const { volumes } = deploymentOf(plan as never).spec.template.spec;
    const volume = volumes.find((each) => (each as { name: string }).name === 'model-config');

    expect(volume).toMatchObject({
      projected: {
        sources: Array.from({ length: 16 }, (_, shard) => ({
          configMap: {
            name: `modelconfig-shared-${shard}`,
            optional: true,
            items: [{ key: 'models.json', path: shard === 0 ? 'models.json' : `models-${shard}.json` }],
          },
        })),
      },
    });
  });
});
