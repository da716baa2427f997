import { aModel, aService, trainedModels } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MemoryUse, readMemory } from '../../frame/container-memory.ts';
import { quantile } from '../../frame/figures.ts';
import { openWorld } from '../../frame/open-world.ts';
import { until, type World } from '../../frame/world.ts';

/**
 * A service with many models, on three replicas: how long they take to come, what one more costs, what the parts need in memory, and
 * how long all take to go. `npm run e2e -- scale` has 5,000; a run of all scenarios has fewer.
 */

const crowd = Number(process.env.E2E_MODELS ?? 300);
const rounds = 25;
const storeLatencyMs = 50;
/** So many in one `kubectl apply`, and so many of these side by side. */
const batchSize = 250;
const appliesMax = 4;

describe(`a service with ${crowd} models`, () => {
  let world: World;
  let empty: MemoryUse;

  beforeAll(async () => {
    world = await openWorld();
    await world.apply(aService('fleet', { minReplicas: 3, maxReplicas: 3 }));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/fleet', '--timeout=120s']);
    await until('three replicas', async () => (await readyReplicas()) === 3, 60_000);
    empty = await readMemory(world.kubectl);
  });
  afterAll(() => world?.close());

  it('loads them on three replicas, applied in batches', { timeout: 1_200_000 }, async ({ task }) => {
    const began = performance.now();
    await applyAll();
    const applied = performance.now();
    await until('all are there three times', async () => (await summaries()).get('3/3') === crowd, 1_100_000, 1_000);
    const loaded = performance.now();
    task.meta.figures = [
      `${crowd} models by kubectl apply --server-side: stored after ${seconds(began, applied)}, all on three replicas after ${seconds(began, loaded)}`,
    ];

    expect((await world.predict('fleet', `crowd-${crowd - 1}`)).value).toBe(answerOf(crowd - 1));
  });

  it(`takes one more in no time, with ${storeLatencyMs} ms in the store's answers`, async ({ task }) => {
    const first: number[] = [];
    const everywhere: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const name = `more-${round}`;
      await world.api.post(trainedModels, aModel(name, 'fleet', world.artifact(name, round, storeLatencyMs), '16Ki'));
      const began = performance.now();
      await until(`${name} answers`, async () => (await world.predict('fleet', name)).value === round, 60_000);
      first.push(performance.now() - began);
      await until('three copies', async () => (await copiesOf(name)) === '3/3', 30_000);
      everywhere.push(performance.now() - began);
    }
    const text = (values: readonly number[]) =>
      `${quantile(values, 0.5).toFixed(0)} ms (worst ${quantile(values, 1).toFixed(0)} ms)`;
    task.meta.figures = [
      `one more model beside ${crowd}, three replicas, ${storeLatencyMs} ms in the store: first prediction ${text(first)}, all replicas ${text(everywhere)} after the API server’s answer (median of ${rounds})`,
    ];

    expect(first).toHaveLength(rounds);
  });

  it('needs little memory for each of them in controller, router and agent', async ({ task }) => {
    await new Promise((resolve) => setTimeout(resolve, 20_000)); // the kubelet measures every ten seconds or so
    const full = await readMemory(world.kubectl);
    task.meta.figures = ['controller', 'router', 'agent', 'kserve-container'].map((container) => {
      const [before = 0, after = 0] = [empty.get(container), full.get(container)];
      return `memory of ${container}, the largest: ${mebibytes(before)} empty, ${mebibytes(after)} with ${crowd} models: ${((after - before) / crowd / 1024).toFixed(1)} KiB each`;
    });

    expect(full.get('agent')).toBeGreaterThan(0);
  });

  it('goes with all of its models when it is deleted', { timeout: 600_000 }, async ({ task }) => {
    const began = performance.now();
    await world.kubectl(['delete', 'inferenceservice', 'fleet', '--timeout=300s']);
    const returned = performance.now();
    const gone = async (what: string, isGone: () => Promise<boolean>) => {
      await until(`${what}: none is left`, isGone, 550_000, 500);
      return `${what} gone after ${seconds(began, performance.now())}`;
    };
    const times = await Promise.all([
      gone('pods', async () => (await pods()) === 0),
      gone('models', async () => (await summaries()).size === 0),
      gone('ConfigMaps', async () => (await shards()) === 0),
    ]);
    task.meta.figures = [
      `kubectl delete inferenceservice with ${crowd} models: returned after ${seconds(began, returned)}, ${times.join(', ')}`,
    ];

    expect(await shards()).toBe(0);
  });

  const answerOf = (n: number) => n % 100;

  const applyAll = async () => {
    const batches = Array.from({ length: Math.ceil(crowd / batchSize) }, (_, index) =>
      Array.from({ length: Math.min(batchSize, crowd - index * batchSize) }, (_, n) => index * batchSize + n),
    ).values();
    const apply = async () => {
      for (const batch of batches) {
        const models = batch.map((n) => aModel(`crowd-${n}`, 'fleet', artifactOf(n), '16Ki'));
        const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: models });
        await world.kubectl(['apply', '--server-side', '-f', '-'], list);
      }
    };
    await Promise.all(Array.from({ length: appliesMax }, apply));
  };

  const artifactOf = (n: number) => world.artifact('crowd', answerOf(n), storeLatencyMs);

  const copiesOf = async (name: string) =>
    (await world.api.get<Model>(`${trainedModels}/${name}`)).status?.copies?.summary;

  /** How many models have so many copies. */
  const summaries = async () => {
    const { items } = await world.api.get<{ readonly items: readonly Model[] }>(trainedModels);
    const counts = new Map<string | undefined, number>();
    for (const { status } of items) {
      const summary = status?.copies?.summary;
      counts.set(summary, (counts.get(summary) ?? 0) + 1);
    }
    return counts;
  };

  const readyReplicas = async () =>
    Number(await world.kubectl(['get', 'deployment', 'fleet-predictor', '-o', 'jsonpath={.status.readyReplicas}']));

  const countOf = async (kind: string, prefix: string) => {
    const names = await world.kubectl(['get', kind, '-o', 'name']);
    return names.split('\n').filter((name) => name.includes(`/${prefix}`)).length;
  };
  const shards = () => countOf('configmaps', 'modelconfig-fleet-');
  const pods = () => countOf('pods', 'fleet-predictor-');
});

type Model = { readonly status?: { readonly copies?: { readonly summary?: string } } };

const seconds = (from: number, to: number) => `${((to - from) / 1000).toFixed(1)} s`;
const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
