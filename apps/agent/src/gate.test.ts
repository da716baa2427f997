import { describe, expect, it } from 'vitest';
import { judge } from './gate.ts';
import { bytesText, timeText, withoutSecrets } from './life.ts';
import { aModel, simulate } from './testing/world.ts';

describe('judge', () => {
  const verdict = (world: Awaited<ReturnType<typeof simulate>>, model: string) =>
    judge(model, world.keeper, world.clock.monotonic());

  it('sends, holds and refuses as the model stands', async () => {
    const world = await simulate();

    expect(verdict(world, 'iris')).toEqual({ kind: 'wait' }); // nobody said what to hold

    world.keeper.want(new Map([['iris', aModel('iris')]]));

    expect(verdict(world, 'iris')).toEqual({ kind: 'wait' });
    expect(verdict(world, 'wine')).toMatchObject({ kind: 'refuse', refusal: { status: 404, notHere: true } });

    await world.pass(1_000);

    expect(verdict(world, 'iris')).toMatchObject({ kind: 'send', entry: { name: 'iris' } });
    expect(verdict(world, '')).toEqual({ kind: 'send', entry: undefined });

    world.killServer();

    expect([verdict(world, 'iris'), verdict(world, '')]).toEqual([{ kind: 'wait' }, { kind: 'wait' }]);

    world.startServer();
    world.keeper.want(new Map());

    expect(verdict(world, 'iris')).toMatchObject({ kind: 'refuse', refusal: { status: 404 } });
  });

  it('says when to ask again for a model that failed', async () => {
    const world = await simulate();
    world.failing.downloads.push('storage/denied');
    world.keeper.want(new Map([['iris', aModel('iris')]]));
    await world.turn();
    await world.pass(250);

    expect(verdict(world, 'iris')).toEqual({
      kind: 'refuse',
      refusal: {
        status: 503,
        reason: 'model-failed',
        message: 'model iris is not loaded: StorageDenied',
        notHere: true,
        retryAfterS: 1,
      },
    });
  });
});

describe('the lines of a life', () => {
  it.each([
    ['https://user:pass@host/a?X-Amz-Signature=1#f', 'https://host/a'],
    ['s3://bucket/key', 's3://bucket/key'],
  ])('show %s without secrets', (uri, shown) => {
    expect(withoutSecrets(uri)).toBe(shown);
  });

  it('have sizes and times for people', () => {
    expect([0, 999, 12_000, 1_500_000, 2e12].map(bytesText)).toEqual([
      '0 bytes',
      '999 bytes',
      '12 kB',
      '1.5 MB',
      '2.0 TB',
    ]);
    expect([3.4, 1_300, 600_000].map(timeText)).toEqual(['3 ms', '1.3 s', '10 min']);
  });
});
