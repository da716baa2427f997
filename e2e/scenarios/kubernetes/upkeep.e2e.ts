import { aModel, aService, type LoadTarget, startLoad } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installChart, readInstalled, removeChart, systemNamespace } from '../../frame/installation.ts';
import { openWorld } from '../../frame/open-world.ts';
import { previousRelease } from '../../frame/previous-release.ts';
import { openInferStream } from '../../frame/streams.ts';
import { until, type World } from '../../frame/world.ts';

/** What a platform team does to an installation, while others send requests. */

const host = 'fleet-default.example.com';
const targets: LoadTarget[] = [1, 2, 3].map((n) => ({ model: `m-${n}`, host, expected: n }));
const connections = 4;

describe('upkeep under load', () => {
  const installed = readInstalled();
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  const serveFleet = async () => {
    const models = targets.map(({ model, expected }) => aModel(model, 'fleet', world.artifact(model, expected)));
    await world.apply(aService('fleet'), ...models);
    await world.kubectl(['wait', '--for=condition=Ready', 'tm', '--all', '--timeout=60s']);
  };

  /** Everything about the predictor's pods that a rollout would change. */
  const predictor = async () => {
    const { spec }: { spec: { template: unknown } } = JSON.parse(
      await world.kubectl(['get', 'deployment', 'fleet-predictor', '-o', 'json']),
    );
    const pods = await world.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
    return { template: spec.template, pods };
  };

  const stillTakesChanges = async (name: string) => {
    await world.apply(aModel(name, 'fleet', world.artifact(name, 99)));
    await until('the new model answers', async () => (await world.predict('fleet', name)).value === 99, 30_000);
    await world.kubectl(['delete', 'tm', name, '--timeout=30s']);
  };

  it.runIf(installed.kindCluster !== undefined)(
    'an upgrade from the previous release drops no request and no stream, and changes no predictor',
    async ({ task }) => {
      const previous = await previousRelease(installed);
      await installChart({ ...installed, ...previous });
      await serveFleet();
      const before = await predictor();
      const load = startLoad(world.routerUrl, () => targets, connections);
      const stream = openInferStream(world.routerUrl, host, 'm-1');
      const began = performance.now();
      await installChart(installed);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      const streamed = await stream.end();
      const { answered, failures, wrong } = await load.stop();
      task.meta.figures = [
        `an upgrade from ${previous.what} (${seconds} s): ${answered} requests answered, ${failures.length} failed; ${streamed.answered} of ${streamed.sent} on one stream`,
      ];

      expect({ failures, wrong }).toEqual({ failures: [], wrong: [] });
      expect(streamed.answered).toBe(streamed.sent);
      expect(streamed.answered).toBeGreaterThan(10);
      expect(await predictor()).toEqual(before);
      await stillTakesChanges('after-upgrade');
    },
  );

  it.each(['router', 'controller'])('a %s that is evicted drops no request', async (part) => {
    await serveFleet();
    const load = startLoad(world.routerUrl, () => targets, connections);
    const [pod = ''] = (
      await world.kubectl(['get', 'pods', '-n', systemNamespace, '-l', `app=roundhouse-${part}`, '-o', 'name'])
    ).split('\n');
    await world.kubectl(['delete', '-n', systemNamespace, pod, '--timeout=120s']);
    await stillTakesChanges(`after-${part}`);
    const { failures, wrong } = await load.stop();

    expect({ failures, wrong }).toEqual({ failures: [], wrong: [] });
  });

  it('the removal of the chart lets all objects go and takes none away; installed again, it serves them again', async () => {
    await serveFleet();
    const before = await predictor();
    await removeChart(installed.kubeconfig);
    const finalizers = await world.kubectl(['get', 'tm', '-o', 'jsonpath={.items[*].metadata.finalizers}']);
    const models = await world.kubectl(['get', 'tm', '-o', 'name']);
    await world.kubectl(['delete', 'tm', 'm-3', '--timeout=10s']);
    const during = await predictor();
    await installChart(installed);
    await until(
      'the models answer',
      async () => (await world.predict('fleet', 'm-1').catch(() => undefined))?.value === 1,
      30_000,
    );

    expect(finalizers).toBe('');
    expect(models.trim().split('\n')).toHaveLength(3);
    expect(during).toEqual(before);
    expect(await predictor()).toEqual(before);
    await stillTakesChanges('after-removal');
  });
});
