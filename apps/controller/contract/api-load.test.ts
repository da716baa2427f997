import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { names } from '../src/testing/builders.ts';
import { type Counted, startCountingProxy } from './counting-proxy.ts';
import {
  applyModel,
  applyService,
  conditionOf,
  makeReady,
  openWorld,
  podOf,
  real,
  runAgent,
  startController,
  tokenFor,
  type World,
} from './world.ts';

/** What the controller asks of the API server, counted in front of it. */
const soon = { timeout: 15_000 };
const isWrite = ({ verb }: Counted) => !['get', 'list', 'watch'].includes(verb);

describe(`the load on the API server (${real === undefined ? 'embedded' : 'real'})`, () => {
  let world: World;
  let proxy: Awaited<ReturnType<typeof startCountingProxy>>;

  beforeAll(async () => {
    world = await openWorld();
    proxy = await startCountingProxy(world.kubeconfig, world.directory);
    world.closers.push(proxy.close);
    const { leading } = await startController(world, proxy.kubeconfig);
    const { port } = await leading;
    await applyService(world, 'shared');
    const pod = await podOf(world, 'shared');
    await makeReady(world, 'shared', pod);
    const token = await tokenFor(world, { namespace: world.namespace, name: 'default' }, pod);
    runAgent(world, 'shared', pod, { port, token: async () => token });
    await applyModel(world, 'first', 'shared');
  });
  afterAll(() => world?.close());

  const isLoaded = (name: string) => conditionOf(world, names.trainedModels, name, 'Ready');

  /** Resolves when the Lease was renewed twice and nothing else was asked for in between. */
  const quiet = () =>
    expect
      .poll(() => proxy.requests.slice(-2).map(({ verb, what }) => `${verb} ${what}`), { timeout: 30_000 })
      .toEqual(['PUT leases', 'PUT leases']);

  it('is at most five writes and no list for one more model', { timeout: 40_000 }, async () => {
    await expect.poll(() => isLoaded('first'), soon).toMatchObject({ status: 'True' });
    await quiet();
    const from = proxy.requests.length;
    await applyModel(world, 'one-more', 'shared');
    await expect.poll(() => isLoaded('one-more'), soon).toMatchObject({ status: 'True' });
    await quiet();

    const asked = proxy.requests.slice(from).filter(({ what }) => what !== 'leases');
    const writes = asked.filter(isWrite);
    console.info(
      `one more model: ${writes.map(({ verb, what, bytes }) => `${verb} ${what} (${bytes} bytes)`).join(', ')}`,
    );
    expect(writes.length).toBeLessThanOrEqual(5);
    expect(asked.filter(({ verb }) => verb === 'list' || verb === 'watch')).toEqual([]);
    expect(writes.filter(({ what }) => what === 'configmaps')).toHaveLength(1);
  });

  it('is the Lease and nothing else while nothing happens', { timeout: 40_000 }, async () => {
    await quiet();
    const from = proxy.requests.length;
    await expect.poll(() => proxy.requests.length - from, soon).toBeGreaterThanOrEqual(2);

    const kinds = new Set(proxy.requests.slice(from).map(({ verb, what }) => `${verb} ${what}`));
    expect([...kinds]).toEqual(['PUT leases']);
  });
});
