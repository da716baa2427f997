import { aModel, aService, startLoad } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { quantile } from '../../frame/figures.ts';
import { openWorld } from '../../frame/open-world.ts';
import { until, type World } from '../../frame/world.ts';

/** Replicas that are deleted one after the other under load: what fails, and how long the next one takes to be Ready. */

const rounds = 4;
const connections = 8;
const models = Array.from({ length: 20 }, (_, n) => ({
  model: `m-${n}`,
  host: 'fleet-default.example.com',
  expected: n,
}));

type Pod = {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
};

describe('a replica that is deleted', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    const runtime = JSON.parse(
      await world.kubectl(['get', 'clusterservingruntime/roundhouse-model-server', '-o', 'json']),
    );
    const [server, ...others] = runtime.spec.containers;
    // Without a hook of its own, the server is told to end when the agent is.
    const containers = [{ ...server, lifecycle: {} }, ...others];
    await world.apply({
      ...{ apiVersion: 'serving.kserve.io/v1alpha1', kind: 'ServingRuntime', metadata: { name: 'abrupt' } },
      spec: { ...runtime.spec, containers },
    });
  });
  afterAll(async () => {
    await world?.close();
    await world?.kubectl(['delete', 'servingruntime', 'abrupt']);
  });

  it('is Ready again within seconds, while nothing else is asked', async ({ task }) => {
    await serve('roundhouse-model-server');
    const startMs: number[] = [];
    for (let round = 0; round < rounds; round++) startMs.push(await replaceOne());
    await end();
    task.meta.figures = [
      `a replica that is deleted: the next one is Ready ${quantile(startMs, 0.5).toFixed(0)} ms after its pod is there (median of ${rounds}; worst ${quantile(startMs, 1).toFixed(0)} ms)`,
    ];

    expect(quantile(startMs, 0.5)).toBeLessThan(10_000);
  });

  it.for([
    ['drops no request', 'roundhouse-model-server', 0],
    // The server may close a connection at the very moment that a request comes in on it, and nobody knows whether it was read.
    ['loses at most what its server was at, when that ends at once', 'abrupt', rounds * connections],
  ] as const)('%s', async ([name, runtime, failuresMax], { task }) => {
    await serve(runtime);
    const load = startLoad(world.routerUrl, () => models, connections, 1);
    for (let round = 0; round < rounds; round++) await replaceOne();
    const { failures, wrong, answered } = await load.stop();
    await end();
    task.meta.figures = [
      `${rounds} replicas deleted under load (${name}): ${answered} requests answered, ${failures.length} failed`,
    ];

    expect(wrong).toEqual([]);
    expect(failures.length, JSON.stringify(failures.slice(0, 5))).toBeLessThanOrEqual(failuresMax);
  });

  const serve = async (runtime: string) => {
    await world.apply(
      aService('fleet', { minReplicas: 2, maxReplicas: 2, model: { modelFormat: { name: 'xgboost' }, runtime } }),
      ...models.map(({ model, expected }) => aModel(model, 'fleet', world.artifact(model, expected))),
    );
    await world.kubectl(['wait', '--for=condition=Ready', 'tm', '--all', '--timeout=60s']);
    await until('two replicas', async () => (await ready()).length === 2, 60_000);
  };

  const end = async () => {
    await world.kubectl(['delete', 'isvc/fleet']);
    await until('no pod', async () => (await pods()).length === 0, 60_000);
  };

  const pods = async () => (await world.api.get<{ items: readonly Pod[] }>('/api/v1/namespaces/default/pods')).items;
  const isReady = ({ status }: Pod) =>
    status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True');
  const ready = async () =>
    (await pods()).filter((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined);

  /** How long the pod that comes instead of a deleted one takes to be Ready, in milliseconds. */
  const replaceOne = async () => {
    const before = new Set((await pods()).map(({ metadata }) => metadata.name));
    const [victim] = await ready();
    await world.api.delete(`/api/v1/namespaces/default/pods/${victim?.metadata.name}`);
    const fresh = await until('another pod', async () =>
      (await pods()).find(({ metadata }) => !before.has(metadata.name)),
    );
    const began = performance.now();
    await until(
      'it is Ready',
      async () => (await ready()).some(({ metadata }) => metadata.name === fresh.metadata.name),
      60_000,
    );
    const took = performance.now() - began;
    await until('two replicas', async () => (await ready()).length === 2 && (await pods()).length === 2, 60_000);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // the new one holds all models
    return took;
  };
});
