import { systemClock } from '@roundhouse/base';
import { describe, expect, it } from 'vitest';
import { KubeError } from './errors.ts';
import { createInformer } from './informer.ts';
import type { Kube, WatchEvent } from './kube.ts';
import type { KubeObject, Resource } from './object.ts';
import { until } from './testing/embedded-api.ts';

const things: Resource = { group: '', version: 'v1', resource: 'things' };

const thing = (name: string, resourceVersion: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, resourceVersion },
});

type Script = {
  readonly items: readonly KubeObject[];
  readonly version: string;
  readonly watches: readonly WatchStep[];
};
type WatchStep = { readonly events: readonly WatchEvent[]; readonly error?: Error };

/** A client that plays lists and watches from a script; the last watch stays open. */
function scripted(scripts: readonly Script[], watched: string[]): Pick<Kube, 'list' | 'watch'> {
  let list = -1;
  let watch = 0;
  return {
    async list() {
      list = Math.min(list + 1, scripts.length - 1);
      watch = 0;
      const { items, version } = scripts[list] as Script;
      return { items, resourceVersion: version };
    },
    async *watch(_resource, { resourceVersion }, signal) {
      watched.push(resourceVersion);
      const step = scripts[list]?.watches[watch++];
      yield* step?.events ?? [];
      if (step?.error !== undefined) throw step.error;
      if (step === undefined)
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  };
}

async function follow(scripts: readonly Script[], changes: number) {
  const seen: string[] = [];
  const watched: string[] = [];
  const stop = new AbortController();
  const kube = scripted(scripts, watched) as Kube;
  const informer = createInformer(
    { kube, clock: systemClock, random: () => 0, onTrouble: () => {} },
    {
      resource: things,
      onChange: (key, before, after) =>
        seen.push(`${key} ${before?.metadata.resourceVersion ?? '-'}>${after?.metadata.resourceVersion ?? '-'}`),
    },
  );
  const running = informer.run(stop.signal);
  await until(() => seen.length >= changes);
  stop.abort();
  await running;
  return { seen, watched, names: [...informer.list()].map(({ metadata }) => metadata.name) };
}

describe('an informer', () => {
  it('tells what was deleted while the history was lost', async () => {
    const gone = new KubeError('kube/gone', 'too old');
    const { seen, names } = await follow(
      [
        { items: [thing('a', '1'), thing('b', '2')], version: '2', watches: [{ events: [], error: gone }] },
        { items: [thing('b', '2'), thing('c', '9')], version: '9', watches: [] },
      ],
      4,
    );

    expect(seen).toEqual(['a ->1', 'b ->2', 'a 1>-', 'c ->9']);
    expect(names).toEqual(['b', 'c']);
  });

  it('goes on where it was when a watch breaks, bookmarks included', async () => {
    const broken = new KubeError('kube/unavailable', 'reset');
    const { watched, seen } = await follow(
      [
        {
          items: [thing('a', '1')],
          version: '5',
          watches: [
            { events: [{ type: 'MODIFIED', object: thing('a', '6') }], error: broken },
            { events: [{ type: 'BOOKMARK', object: thing('', '8') }] },
            { events: [{ type: 'DELETED', object: thing('a', '9') }] },
          ],
        },
      ],
      3,
    );

    expect(watched.slice(0, 3)).toEqual(['5', '6', '8']);
    expect(seen).toEqual(['a ->1', 'a 1>6', 'a 6>-']);
  });

  it('tells nothing twice', async () => {
    const again: WatchEvent = { type: 'ADDED', object: thing('a', '1') };
    const { seen } = await follow(
      [
        {
          items: [thing('a', '1')],
          version: '1',
          watches: [{ events: [again, { type: 'ADDED', object: thing('b', '2') }] }],
        },
      ],
      2,
    );

    expect(seen).toEqual(['a ->1', 'b ->2']);
  });
});
