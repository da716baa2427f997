import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { stepClock } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { createDesired, mountTrustedAfterMs } from './desired.ts';
import type { WantedModel } from './model.ts';
import { openMounted } from './mounted.ts';
import { createPlainLog } from './plain-log.ts';
import { until } from './testing/rig.ts';
import { aModel } from './testing/world.ts';

const mapOf = (...models: readonly WantedModel[]) => new Map(models.map((model) => [model.name, model]));

function setUp({
  control = true,
  placement = 'replicate' as 'replicate' | 'spread',
  last = undefined as WantedModel[] | undefined,
} = {}) {
  const clock = stepClock();
  const world = {
    clock,
    mounted: undefined as ReadonlyMap<string, WantedModel> | undefined,
    wanted: [] as string[],
    changed: undefined as readonly string[] | undefined,
  };
  const want = (models: ReadonlyMap<string, WantedModel>, changed?: Iterable<string>) => {
    world.wanted = Array.from(models.values(), ({ digest }) => digest);
    world.changed = changed === undefined ? undefined : [...changed];
  };
  const desired = createDesired({ clock, mounted: () => world.mounted, want }, { control, placement }, last);
  return { world, desired };
}

describe('createDesired', () => {
  const streamed = aModel('a', { secret: 'keys', digest: 'streamed' });
  const mounted = aModel('a', { digest: 'mounted' });

  it('starts from the last assignment rather than from older mounts', () => {
    const { world, desired } = setUp({ last: [streamed] });
    world.mounted = mapOf(aModel('b', { digest: 'b' }));
    desired.choose();

    expect(world.wanted).toEqual(['streamed']);
  });

  it('starts from the mounts in a fresh pod, and follows the stream once it speaks', () => {
    const { world, desired } = setUp();
    world.mounted = mapOf(mounted);
    desired.choose();

    expect(world.wanted).toEqual(['mounted']);

    desired.assigned({ models: mapOf(streamed), changed: ['a'], removed: [] });

    expect([world.wanted, world.changed]).toEqual([['streamed'], undefined]);

    desired.assigned({ models: mapOf(streamed, aModel('b', { digest: 'b' })), changed: ['b'], removed: [] });

    expect([world.wanted, world.changed]).toEqual([['streamed', 'b'], ['b']]);
  });

  it('trusts the mounts again when the stream is gone for longer than they lag', () => {
    const { world, desired } = setUp();
    desired.assigned({ models: mapOf(streamed), changed: ['a'], removed: [] });
    world.mounted = mapOf(mounted, aModel('b', { digest: 'b' }));
    desired.choose();
    desired.disconnected();
    world.clock.advance(mountTrustedAfterMs - 1);
    desired.choose();

    expect(world.wanted).toEqual(['streamed']);

    world.clock.advance(1);
    desired.choose();

    expect(world.wanted).toEqual(['streamed', 'b']);
  });

  it('never reads the mounts where models are spread', () => {
    const { world, desired } = setUp({ placement: 'spread' });
    world.mounted = mapOf(mounted);
    world.clock.advance(2 * mountTrustedAfterMs);
    desired.choose();

    expect(world.wanted).toEqual([]);
  });
});

describe('openMounted', () => {
  it('keeps what it read when the next text is no list, and says nothing while nothing is mounted', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'roundhouse-mounted-'));
    const stop = new AbortController();
    const lines: string[] = [];
    const log = createPlainLog({ clock: systemClock, write: (line) => lines.push(line) });
    const mounted = await openMounted({ clock: systemClock, log, onChange: () => {} }, directory);
    const running = mounted.run(stop.signal);

    expect(mounted.models).toBeUndefined();

    const entry = (modelName: string) => ({
      modelName,
      modelSpec: { storageUri: 's3://b/m', framework: 'onnx', memory: '1' },
    });
    await writeFile(join(directory, 'models.json'), JSON.stringify([entry('a')]));
    await writeFile(join(directory, 'models-1.json'), JSON.stringify([entry('b')]));
    await until(() => mounted.models?.size === 2);
    await writeFile(join(directory, 'models.json'), 'oops');
    await until(() => lines.length > 0);

    expect([...(mounted.models?.keys() ?? [])].sort()).toEqual(['a', 'b']);
    expect(lines[0]).toMatch(/^\d{4}-.*Z warning: the mounted models cannot be read \(reason: /);
    stop.abort();
    await running;
    await rm(directory, { recursive: true });
  });
});
