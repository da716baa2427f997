import { aModel, aService, trainedModels } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { between, readTraffic } from '../../frame/api-traffic.ts';
import { quantile } from '../../frame/figures.ts';
import { openWorld } from '../../frame/open-world.ts';
import { until, type World } from '../../frame/world.ts';

/** What one more model costs: time until it answers, and calls of the API server. */

const rounds = 25;

describe('one more model', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    await world.apply(aService('fleet'));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/fleet', '--timeout=60s']);
  });
  afterAll(() => world?.close());

  /** From the API server's answer to the first prediction. */
  const timeOne = async (name: string, value: number) => {
    await world.api.post(trainedModels, aModel(name, 'fleet', world.artifact(name, value)));
    const began = performance.now();
    await until(`${name} answers`, async () => (await world.predict('fleet', name)).value === value, 60_000);
    return performance.now() - began;
  };

  it('answers within half a second, with one replica', async ({ task }) => {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await timeOne(`one-${round}`, round));
    const [median, worst] = [quantile(times, 0.5), quantile(times, 1)];
    task.meta.figures = [
      `one more model, one replica: first prediction ${median.toFixed(0)} ms after the API server’s answer (median of ${rounds}; worst ${worst.toFixed(0)} ms)`,
    ];

    expect(median).toBeLessThan(500);
  });

  it('costs the API server at most five writes and no list, and nothing but the Lease when all is quiet', async ({
    task,
  }) => {
    await quiet();
    const before = await readTraffic(world.kubectl);
    await timeOne('counted', 77);
    await quiet();
    const cost = between(before, await readTraffic(world.kubectl));
    const idleBefore = await readTraffic(world.kubectl);
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    const idle = between(idleBefore, await readTraffic(world.kubectl));
    const isOurs = (call: string) => !/ leases$/.test(call);
    const writes = Object.entries(cost).filter(
      ([call]) => isOurs(call) && /^(POST|PUT|PATCH|APPLY|DELETE) /.test(call),
    );
    // One of them is the creation of the model itself.
    const total = writes.reduce((sum, [, count]) => sum + count, 0) - 1;
    task.meta.figures = [
      `one more model: ${total} writes (${writes.map(([call, count]) => `${count} ${call}`).join(', ')}, its creation included)`,
      `idle for 20 s: ${JSON.stringify(Object.fromEntries(Object.entries(idle).filter(([call]) => isOurs(call))))}`,
    ];

    expect(total).toBeLessThanOrEqual(5);
    expect(Object.keys(cost).filter((call) => isOurs(call) && call.startsWith('LIST '))).toEqual([]);
    expect(
      Object.keys(idle).filter((call) => isOurs(call) && /^(LIST|POST|PUT|PATCH|DELETE|APPLY) /.test(call)),
    ).toEqual([]);
  });

  /** Until the API server has seen no write of ours for a while: status writes are delayed, Events are written behind. */
  const quiet = async () => {
    let last = '';
    await until(
      'nothing is written any more',
      async () => {
        const now = JSON.stringify(
          [...(await readTraffic(world.kubectl))].filter(([call]) => !/ leases$|^(GET|WATCH) /.test(call)),
        );
        const same = now === last;
        last = now;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        return same;
      },
      30_000,
    );
  };
});
