import { aModel, aService, startLoad } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { predictGrpc } from '../frame/grpc.ts';
import { openWorld } from '../frame/open-world.ts';
import { until, type World } from '../frame/world.ts';

/** What Roundhouse is for, told in five steps with a real kubectl and plain HTTP. */

const host = 'fleet-default.example.com';
const replicaCount = (world: World) =>
  world.kubectl(['get', 'deployment', 'fleet-predictor', '-o', 'jsonpath={.status.readyReplicas}']);

describe('five steps', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  it('1: a shared service starts without a model', async () => {
    await world.apply(aService('fleet'));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/fleet', '--timeout=20s']);

    expect(await world.kubectl(['get', 'isvc', 'fleet', '-o', 'jsonpath={.status.url}'])).toBe(`http://${host}`);
    expect((await world.predict('fleet', 'nothing')).status).toBe(404);
  });

  it('2: twenty models that each take a second to come are loaded in parallel, in under 3 s', async () => {
    const models = numbers(20).map((n) => aModel(`slow-${n}`, 'fleet', world.artifact(`slow-${n}`, n, 1_000)));
    await world.apply(...models);
    const began = performance.now();
    await until('all twenty are Ready', async () =>
      (await Promise.all(models.map((m) => world.readiness(m.metadata.name)))).every((r) => r === 'True'),
    );

    expect(performance.now() - began).toBeLessThan(3_000);
    expect(await world.kubectl(['get', 'tm', 'slow-7', '-o', 'jsonpath={.status.copies.summary}'])).toBe('1/1');
  });

  it('3: each answers in V1 and V2, under the shared host and under the path prefix', async () => {
    for (const n of numbers(20)) {
      for (const protocol of ['v1', 'v2'] as const) {
        for (const prefix of [false, true]) {
          const answer = await world.predict('fleet', `slow-${n}`, { protocol, prefix });

          expect(answer, `slow-${n} ${protocol} ${prefix}`).toMatchObject({ status: 200, value: n });
        }
      }
    }
  });

  it('3, over gRPC: each answers by its name under the shared authority, and unknown ones are NOT_FOUND', async () => {
    for (const n of numbers(20)) expect(await predictGrpc(world.routerUrl, host, `slow-${n}`)).toBe(n);
    await expect(predictGrpc(world.routerUrl, host, 'nobody')).rejects.toMatchObject({ code: 5 });
  });

  it('4: models come and go while the others answer', async () => {
    const load = startLoad(
      world.routerUrl,
      () => numbers(20).map((n) => ({ model: `slow-${n}`, host, expected: n })),
      4,
    );
    for (const round of numbers(3)) {
      const names = numbers(5).map((n) => `guest-${n}`);
      await world.apply(...names.map((name, n) => aModel(name, 'fleet', world.artifact(name, 100 * round + n))));
      for (const [n, name] of names.entries()) {
        await until(`${name} answers`, async () => (await world.predict('fleet', name)).value === 100 * round + n);
      }
      await world.kubectl(['delete', 'tm', ...names, '--timeout=20s']);
      for (const name of names) expect((await world.predict('fleet', name)).status).toBe(404);
    }
    const { answered, failures, wrong } = await load.stop();

    expect({ failures, wrong }).toEqual({ failures: [], wrong: [] });
    expect(answered).toBeGreaterThan(100);
  });

  it('5: two replicas, then three, under load, each taking requests only for what it has loaded', async () => {
    const load = startLoad(
      world.routerUrl,
      () => numbers(20).map((n) => ({ model: `slow-${n}`, host, expected: n })),
      4,
    );
    for (const replicas of [2, 3]) {
      const change = JSON.stringify({ spec: { predictor: { minReplicas: replicas } } });
      await world.kubectl(['patch', 'isvc', 'fleet', '--type=merge', '-p', change]);
      await until(`${replicas} replicas`, async () => (await replicaCount(world)) === String(replicas), 30_000);
      await until(
        `${replicas} copies of each`,
        async () =>
          (await world.kubectl(['get', 'tm', '-o', 'jsonpath={.items[*].status.copies.summary}']))
            .split(' ')
            .every((summary) => summary === `${replicas}/${replicas}`),
        30_000,
      );
    }
    const { failures, wrong } = await load.stop();

    expect({ failures, wrong }).toEqual({ failures: [], wrong: [] });
  });

  it('and when the service is deleted, its models go with it', async () => {
    await world.kubectl(['delete', 'isvc', 'fleet', '--timeout=30s']);
    await until('no model is left', async () => (await world.kubectl(['get', 'tm', '-o', 'name'])) === '');
    await until('no pod is left', async () => (await world.kubectl(['get', 'pods', '-o', 'name'])) === '');

    expect(await world.kubectl(['get', 'configmaps', '-o', 'name'])).not.toContain('modelconfig-fleet');
    expect((await world.predict('fleet', 'slow-0')).status).toBe(404);
  });
});

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
