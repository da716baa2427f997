import { aModel, aService } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld } from '../frame/open-world.ts';
import { until, type World } from '../frame/world.ts';

/** An InferenceService with a model of its own, as single-model manifests of KServe have it. */
describe('a service with a model of its own', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  const shared = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server' };
  const predictor = (storageUri: string) => ({ model: { ...shared, storageUri } });
  const answers = (value: number) =>
    until(`iris answers ${value}`, async () => (await world.predict('iris', 'iris')).value === value);

  it('is ready once its model answers, under its own name', async () => {
    await world.apply(aService('iris', predictor(world.artifact('one', 1))));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/iris', '--timeout=30s']);

    expect(await world.predict('iris', 'iris')).toMatchObject({ status: 200, value: 1 });
    expect(await world.predict('iris', 'iris', { prefix: true })).toMatchObject({ status: 200, value: 1 });
    expect(await world.kubectl(['get', 'tm'])).toBe('');
  });

  it('goes over to another artifact without a restart, and takes no TrainedModel', async () => {
    const pods = () => world.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
    const before = await pods();
    await world.apply(aService('iris', predictor(world.artifact('two', 2))));
    await answers(2);
    await world.apply(aModel('other', 'iris', world.artifact('three', 3)));

    expect(await pods()).toBe(before);
    await until('other is refused', async () => (await world.readiness('other')) === 'IsNotMMSPredictor');
    expect(await world.predict('iris', 'iris')).toMatchObject({ status: 200, value: 2 });
  });

  it('says why its model does not come, while the one before it answers', async () => {
    await world.apply(aService('iris', predictor('file:///nowhere/at/all')));
    const failure = '-o=jsonpath={.status.modelStatus.lastFailureInfo.message}';
    await until('the failure is told', async () => /\S/.test(await world.kubectl(['get', 'isvc/iris', failure])));

    expect(await world.predict('iris', 'iris')).toMatchObject({ status: 200, value: 2 });
    await world.kubectl(['delete', 'isvc/iris', '--timeout=30s']);
    await until('routers know', async () => (await world.predict('iris', 'iris')).status === 404);
  });
});
