import { type Backoff, backoffMs, type Clock, messageOf, type Random } from '@roundhouse/base';
import { isKubeError } from './errors.ts';
import type { Kube, ListOptions } from './kube.ts';
import { type KubeObject, keyOf, type Resource } from './object.ts';

/** A copy of a collection that follows the API server. */
export type Informer = {
  get(key: string): KubeObject | undefined;
  list(): Iterable<KubeObject>;
  /** Resolves once the first list is in. Until then the copy is empty and no listener was called. */
  readonly synced: Promise<void>;
  /** Follows until `signal` aborts; back-off and new lists happen inside. */
  run(signal: AbortSignal): Promise<void>;
};

export type InformerDeps = {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly random: Random;
  /** A watch that failed; it is tried again whatever this does. */
  readonly onTrouble: (message: string) => void;
};

export type InformerOptions = ListOptions & {
  readonly resource: Resource;
  /** Cuts off what nobody reads, before it is kept. */
  readonly strip?: (object: KubeObject) => KubeObject;
  /** Called once for each change; `before` is undefined for a new object, `after` for one that is gone. */
  readonly onChange: (key: string, before: KubeObject | undefined, after: KubeObject | undefined) => void;
};

const retry: Backoff = { firstMs: 100, maxMs: 10_000 };

export function createInformer({ kube, clock, random, onTrouble }: InformerDeps, options: InformerOptions): Informer {
  const { resource, strip = (object: KubeObject) => object, onChange, ...selection } = options;
  const objects = new Map<string, KubeObject>();
  let announce = () => {};
  const synced = new Promise<void>((resolve) => {
    announce = resolve;
  });

  const put = (object: KubeObject) => {
    const key = keyOf(object);
    const before = objects.get(key);
    // The same version again (a list after a broken watch) is no change.
    if (before !== undefined && before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const after = strip(object);
    objects.set(key, after);
    onChange(key, before, after);
  };
  const drop = (key: string) => {
    const before = objects.get(key);
    if (before === undefined) return;
    objects.delete(key);
    onChange(key, before, undefined);
  };

  /** Brings the copy to the list's state: what was deleted while nobody watched is told too. */
  const relist = async (signal: AbortSignal) => {
    const { items, resourceVersion } = await kube.list(resource, selection, signal);
    const present = new Set(items.map(keyOf));
    for (const key of [...objects.keys()]) if (!present.has(key)) drop(key);
    for (const item of items) put(item);
    announce();
    return resourceVersion;
  };

  return {
    get: (key) => objects.get(key),
    list: () => objects.values(),
    synced,
    async run(signal) {
      let position: string | undefined;
      let failures = 0;
      while (!signal.aborted) {
        try {
          position ??= await relist(signal);
          for await (const { type, object } of kube.watch(
            resource,
            { ...selection, resourceVersion: position },
            signal,
          )) {
            if (type === 'DELETED') drop(keyOf(object));
            else if (type !== 'BOOKMARK') put(object);
            position = object.metadata.resourceVersion ?? position;
            failures = 0;
          }
        } catch (error) {
          if (signal.aborted) return;
          if (isKubeError(error, 'kube/gone')) position = undefined;
          else onTrouble(`watching ${resource.resource}: ${messageOf(error)}`);
          failures++;
          await clock.sleep(backoffMs(retry, failures, random), signal).catch(() => {});
        }
      }
    },
  };
}
