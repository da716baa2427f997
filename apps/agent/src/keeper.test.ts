import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { versionOf, type WantedModel } from './model.ts';
import { stateOf } from './plan.ts';
import { aModel, type SimulatedWorld, simulate } from './testing/world.ts';

const mapOf = (...models: readonly WantedModel[]) => new Map(models.map((model) => [model.name, model]));

describe('the keeper', () => {
  let world: SimulatedWorld;
  beforeEach(async () => {
    world = await simulate();
  });
  const stateNow = (name: string) => {
    const entry = world.keeper.entry(name);
    return entry === undefined ? 'gone' : stateOf(entry);
  };
  const iris = aModel('iris');
  const newer = aModel('iris', { storageUri: 'file:///models/iris-2' });

  it('walks a model from nothing to loaded, and away again', async () => {
    world.keeper.want(mapOf(iris));
    await world.turn();

    expect(stateNow('iris')).toBe('downloading');

    await world.pass(1_000);

    expect([stateNow('iris'), world.serving?.get('iris')]).toEqual(['loaded', versionOf(iris)]);

    world.keeper.want(mapOf());
    await world.pass(1_000);

    expect([stateNow('iris'), world.serving?.size, world.disk.size]).toEqual(['gone', 0, 0]);
    expect(world.calls).toEqual(['download iris', 'load iris', 'unload iris']);
    expect(world.lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'iris: downloading from file:///models/iris',
      'iris: downloaded 1 file, 12 bytes in 250 ms',
      'iris: loaded in 250 ms',
      'iris: unloaded',
      'iris: removed from disk',
    ]);
  });

  it('keeps the old version serving until the new one does', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    world.keeper.want(mapOf(newer));
    await world.turn();

    expect([stateNow('iris'), world.keeper.entry('iris')?.loaded]).toEqual(['downloading', versionOf(iris)]);

    await world.pass(1_000);

    expect(world.serving?.get('iris')).toBe(versionOf(newer));
    expect(world.disk.get('iris')).toMatchObject({ placed: versionOf(newer), ready: undefined, previous: undefined });
  });

  it('puts the old files back when the server refuses the new ones, and says both', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    world.failing.loads.push('server/rejected', 'server/rejected', 'server/rejected');
    world.keeper.want(mapOf(newer));
    await world.pass(20_000);

    expect(world.keeper.entry('iris')).toMatchObject({
      loaded: versionOf(iris),
      placed: versionOf(iris),
      ready: versionOf(newer),
      failure: { stage: 'load', class: 'invalid', attempt: 3, retryEpochMs: undefined },
    });

    world.killServer();
    world.startServer();
    await world.pass(1_000);

    expect(world.serving?.get('iris')).toBe(versionOf(iris));
  });

  it('leaves nothing in place that the server refused, so that it can come up without it', async () => {
    world.failing.loads.push('server/rejected');
    world.keeper.want(mapOf(iris));
    await world.turn();
    await world.pass(500);

    expect(stateNow('iris')).toBe('load-failed');
    expect(world.disk.get('iris')).toMatchObject({ placed: undefined, ready: versionOf(iris) });

    await world.pass(5_000);

    expect([stateNow('iris'), world.disk.get('iris')?.placed]).toEqual(['loaded', versionOf(iris)]);
  });

  it('starts over when the model changes in the middle of its download', async () => {
    world.keeper.want(mapOf(iris));
    await world.turn();
    world.keeper.want(mapOf(newer));
    await world.turn();
    await world.pass(1_000);

    expect(world.calls).toEqual(['download iris', 'load iris']);
    expect(world.serving?.get('iris')).toBe(versionOf(newer));
  });

  it('retries an outage without end, and at once when the credentials change', async () => {
    world.failing.downloads.push(...Array(8).fill('storage/unavailable'), 'storage/denied');
    world.keeper.want(mapOf(iris));
    await world.pass(200_000);

    expect(world.keeper.entry('iris')?.failure).toBeUndefined();

    world.failing.downloads.push(...Array(9).fill('storage/denied'));
    world.keeper.want(mapOf(newer));
    await world.pass(60_000);
    world.failing.downloads.length = 0;
    world.keeper.credentialsChanged();
    await world.pass(1_000);

    expect(stateNow('iris')).toBe('loaded');
  });

  it('unloads only when no request is in flight, or the drain has taken too long', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    const done = world.request('iris');
    world.keeper.want(mapOf());
    await world.pass(5_000);

    expect([stateNow('iris'), world.serving?.has('iris')]).toEqual(['draining', true]);

    done();
    await world.pass(250);

    expect(stateNow('iris')).toBe('gone');
  });

  it('counts the requests to each model that are over, and tells of each once', async () => {
    world.keeper.want(mapOf(iris, aModel('other')));
    await world.pass(1_000);
    world.request('iris')();
    world.request('iris')(true);
    world.request('other'); // still under way

    expect([...world.keeper.takeTraffic()]).toEqual([{ name: 'iris', requests: 2, errors: 1 }]);
    expect([...world.keeper.takeTraffic()]).toEqual([]);
  });

  it('keeps a model that is wanted again while it drains', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    world.request('iris');
    world.keeper.want(mapOf());
    await world.pass(250);
    world.keeper.want(mapOf(iris));
    await world.pass(250);

    expect([stateNow('iris'), world.calls]).toEqual(['loaded', ['download iris', 'load iris']]);
  });

  it('takes over what an earlier agent left, without a download or a load', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    await world.restartAgent();
    world.keeper.want(mapOf(iris));
    await world.turn();

    expect([stateNow('iris'), world.calls]).toEqual(['loaded', ['download iris', 'load iris']]);
  });

  it('touches nothing before it is told what to hold', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    await world.restartAgent();
    await world.pass(5_000);

    expect(world.serving?.has('iris')).toBe(true);
  });

  it('gives up asking a server that refuses to unload', async () => {
    world.keeper.want(mapOf(iris));
    await world.pass(1_000);
    const { serving } = world;
    if (serving === undefined) throw new Error('the server runs');
    serving.delete = () => {
      throw new Error('refused');
    };
    world.keeper.want(mapOf());
    await world.pass(60_000);

    expect([stateNow('iris'), world.disk.size]).toEqual(['gone', 0]);
  });
});

describe('any story', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const version = fc.constantFrom('1', '2', '3');
  const downloadCode = fc.constantFrom(
    'storage/unavailable',
    'storage/denied',
    'storage/not-found',
    'storage/no-space',
  );
  const event = fc.oneof(
    { weight: 4, arbitrary: fc.record({ want: fc.dictionary(fc.constantFrom(...names), version) }) },
    { weight: 4, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 3_000 }) }) },
    fc.record({ downloads: fc.array(downloadCode, { maxLength: 4 }) }),
    fc.record({
      loads: fc.array(fc.constantFrom('server/busy', 'server/broke-off', 'server/rejected'), { maxLength: 2 }),
    }),
    fc.record({ server: fc.constantFrom('kill', 'start', 'restart', 'observe') }),
    fc.record({ agent: fc.constant('restart') }),
    fc.record({ request: fc.constantFrom(...names) }),
  );
  const wantedOf = (dictionary: Readonly<Record<string, string>>) =>
    mapOf(...Object.entries(dictionary).map(([name, v]) => aModel(name, { storageUri: `file:///${name}/${v}` })));

  it('ends with exactly what is wanted on the server and on disk, within the limits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 30 }), async (story) => {
        const world = await simulate({ downloadsMax: 3, loadsMax: 2, unloadsMax: 2 });
        let wanted = mapOf();
        for (const chapter of story) {
          if ('want' in chapter) {
            wanted = wantedOf(chapter.want);
            world.keeper.want(wanted);
          }
          if ('pass' in chapter) await world.pass(chapter.pass);
          if ('downloads' in chapter) world.failing.downloads.push(...chapter.downloads);
          if ('loads' in chapter) world.failing.loads.push(...chapter.loads);
          if ('request' in chapter) world.request(chapter.request);
          if ('server' in chapter && /kill|restart/.test(chapter.server)) world.killServer();
          if ('server' in chapter && /start/.test(chapter.server)) world.startServer();
          if ('server' in chapter) world.observe();
          if ('agent' in chapter) await world.restartAgent();
          await world.turn();

          expect(world.most.downloads).toBeLessThanOrEqual(3);
          expect(world.most.loads).toBeLessThanOrEqual(2);
          for (const name of world.keeper.told ? wanted.keys() : []) expect(world.keeper.entry(name)).toBeDefined();
        }
        world.failing.downloads.length = world.failing.loads.length = 0;
        world.startServer();
        world.keeper.want(wanted);
        await world.pass(200_000); // beyond every retry's delay
        const touched = new Map(
          [...wanted].map(([name, model]) => [name, { ...model, digest: `${model.digest} again` }]),
        );
        world.keeper.want(touched); // another chance for what was given up as invalid
        await world.pass(40_000); // beyond a drain
        world.observe();
        await world.pass(1_000);
        const versions = new Map([...wanted].map(([name, model]) => [name, versionOf(model)]));

        expect(world.serving).toEqual(versions);
        expect(new Map([...world.disk].map(([name, { placed }]) => [name, placed]))).toEqual(versions);
        expect(Array.from(world.keeper.entries(), stateOf)).toEqual(Array(wanted.size).fill('loaded'));
      }),
      { numRuns: 150 },
    );
  });
});
