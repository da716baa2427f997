import { aModel, aService, startLoad } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld } from '../frame/open-world.ts';
import { target, until, type World } from '../frame/world.ts';

/** Each part is killed under load, as a crash would; everything comes back without a hand's help. */

const models = Array.from({ length: 10 }, (_, n) => ({
  model: `m-${n}`,
  host: 'fleet-default.example.com',
  expected: n,
}));

/** Without a router on this machine connections are refused; on a cluster another one is there, which its Service has to find out. */
const outageMsMax = target === 'local' ? 1_000 : 5_000;

/** Connections of the load: at most so many requests are in flight in a process when it dies. */
const connections = 4;

describe('kill -9', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.apply(
      aService('fleet'),
      ...models.map(({ model, expected }) => aModel(model, 'fleet', world.artifact(model, expected))),
    );
    await world.kubectl(['wait', '--for=condition=Ready', 'tm', '--all', '--timeout=30s']);
  });
  afterAll(() => world?.close());

  it.each([
    ['the model server', 'default', 'fleet-predictor', 'kserve-container', connections],
    ['the agent', 'default', 'fleet-predictor', 'agent', connections],
    ['the controller', 'roundhouse-system', 'roundhouse-controller', 'controller', 0],
  ])('%s: only requests in flight in it may fail', async (_, namespace, pod, container, inFlightMax) => {
    const load = startLoad(world.routerUrl, () => models, connections, 2);
    const { untilBack } = await world.kill(namespace, pod, container);
    await untilBack();
    await allAnswer(world);
    const { failures, wrong, answered } = await load.stop();

    expect(wrong).toEqual([]);
    expect(failures.length, JSON.stringify(failures.slice(0, 10))).toBeLessThanOrEqual(inFlightMax);
    expect(answered).toBeGreaterThan(0);
    await stillTakesChanges(world);
  });

  it('the router: requests in flight fail, then connections are refused for a moment', async () => {
    const load = startLoad(world.routerUrl, () => models, connections, 2);
    const { untilBack } = await world.kill('roundhouse-system', 'roundhouse-router', 'router');
    const killedAt = performance.now();
    await allAnswer(world);
    await untilBack();
    const { failures, wrong } = await load.stop();
    const inFlight = failures.filter(({ first }) => first);
    const lastFailure = Math.max(killedAt, ...failures.map(({ atMs }) => atMs));

    expect(wrong).toEqual([]);
    expect(inFlight.length, JSON.stringify(inFlight.slice(0, 10))).toBeLessThanOrEqual(connections);
    expect(lastFailure - killedAt).toBeLessThan(outageMsMax);
    await stillTakesChanges(world);
  });
});

async function allAnswer(world: World): Promise<void> {
  for (const { model, expected } of models) {
    await until(`${model} answers`, async () =>
      world.predict('fleet', model).then(
        ({ value }) => value === expected,
        () => false,
      ),
    );
  }
}

/** A model added afterwards gets ready: the control path has recovered too, not only the data path. */
async function stillTakesChanges(world: World): Promise<void> {
  await world.apply(aModel('late', 'fleet', world.artifact('late', 99)));
  await until('the late model answers', async () => (await world.predict('fleet', 'late')).value === 99);
  await world.kubectl(['delete', 'tm', 'late', '--timeout=20s']);
}
