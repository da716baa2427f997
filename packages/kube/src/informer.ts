import { type Backoff, backoffMs, type Clock, messageOf, type Random } from '@roundhouse/base';
import type { Kube, ListOptions } from './kube.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import type { KubeLog } from './log.ts';
import { type KubeObject, keyOf, type Resource } from './object.ts';

/** An object appeared (`before` undefined), changed, or went (`after` undefined). */
export type ChangeListener<T> = (key: string, before: T | undefined, after: T | undefined) => void;

/** All objects of one resource, kept up to date. */
export type Informer<T extends KubeObject> = {
  get(key: string): T | undefined;
  list(): Iterable<T>;
  /** Hears of each change once, in order, and first of everything that is there. What it throws is logged. */
  onChange(listener: ChangeListener<T>): void;
  /** Resolves when the first list is in. */
  synced(signal: AbortSignal): Promise<void>;
  /** Lists and watches until `signal` aborts, whatever the server does. */
  run(signal: AbortSignal): Promise<void>;
};

export type InformerOptions<T extends KubeObject> = ListOptions & {
  readonly resource: Resource;
  /** What to keep of an object, since memory is per object. Must keep the metadata's name, namespace and resourceVersion. */
  transform?(object: KubeObject): T;
};

const backoff: Backoff = { firstMs: 200, maxMs: 30_000 };

/** A watch that lasted this long was healthy: the next one starts at once. */
const healthyMs = 5_000;

export function createInformer<T extends KubeObject = KubeObject>(
  {
    kube,
    clock,
    random,
    log,
  }: { readonly kube: Kube; readonly clock: Clock; readonly random: Random; readonly log: KubeLog },
  { resource, namespace, labelSelector, transform = (object) => object as T }: InformerOptions<T>,
): Informer<T> {
  const objects = new Map<string, T>();
  const listeners: ChangeListener<T>[] = [];
  const synced = Promise.withResolvers<void>();
  let resourceVersion: string | undefined; // where to go on; undefined asks for a list

  const tell = (
    key: string,
    before: T | undefined,
    after: T | undefined,
    to: readonly ChangeListener<T>[] = listeners,
  ) => {
    for (const listener of to) {
      try {
        listener(key, before, after);
      } catch (error) {
        log.warn({ resource: resource.resource, key, err: error }, 'a listener failed');
      }
    }
  };

  const keep = (object: KubeObject) => {
    const key = keyOf(object);
    const before = objects.get(key);
    // The same version again: a watch that overlaps the list, or a relist that found nothing new.
    if (before !== undefined && before.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const after = transform(object);
    objects.set(key, after);
    tell(key, before, after);
  };

  const drop = (key: string) => {
    const before = objects.get(key);
    if (objects.delete(key)) tell(key, before, undefined);
  };

  const relist = async (signal: AbortSignal) => {
    const page = await kube.list(resource, { namespace, labelSelector }, signal);
    const listed = new Set(page.items.map(keyOf));
    // Deletions that no watch has shown.
    for (const key of [...objects.keys()]) if (!listed.has(key)) drop(key);
    for (const object of page.items) keep(object);
    resourceVersion = page.resourceVersion;
    synced.resolve();
  };

  const follow = async (from: string, signal: AbortSignal) => {
    for await (const { type, object } of kube.watch(
      resource,
      { namespace, labelSelector, resourceVersion: from },
      signal,
    )) {
      switch (type) {
        case 'ADDED':
        case 'MODIFIED':
          keep(object);
          break;
        case 'DELETED':
          drop(keyOf(object));
          break;
        case 'BOOKMARK':
      }
      resourceVersion = object.metadata.resourceVersion ?? resourceVersion;
    }
  };

  /** Undefined when the next round may start at once. */
  const round = async (signal: AbortSignal): Promise<unknown> => {
    const startedMs = clock.monotonic();
    try {
      if (resourceVersion === undefined) await relist(signal);
      await follow(resourceVersion ?? '', signal);
    } catch (error) {
      // Whatever is not a passing trouble is looked at afresh, when it has passed.
      if (!isKubeError(error, 'unavailable')) resourceVersion = undefined;
      if (isKubeError(error, 'gone')) return undefined;
      if (clock.monotonic() - startedMs < healthyMs) return error;
      return undefined;
    }
    return clock.monotonic() - startedMs < healthyMs
      ? new KubeError('unavailable', 'the watch ended at once')
      : undefined;
  };

  return {
    get: (key) => objects.get(key),
    list: () => objects.values(),
    onChange(listener) {
      listeners.push(listener);
      for (const [key, object] of objects) tell(key, undefined, object, [listener]);
    },
    async synced(signal) {
      const aborted = Promise.withResolvers<never>();
      const onAbort = () => aborted.reject(signal.reason);
      if (signal.aborted) onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await Promise.race([synced.promise, aborted.promise]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    async run(signal) {
      for (let failures = 0; !signal.aborted; ) {
        const trouble = await round(signal);
        if (signal.aborted) return;
        failures = trouble === undefined ? 0 : failures + 1;
        if (trouble === undefined) continue;
        if (failures > 1) log.warn({ resource: resource.resource, reason: messageOf(trouble) }, 'cannot watch');
        const askedMs = trouble instanceof KubeError ? (trouble.retryAfterMs ?? 0) : 0;
        await clock.sleep(Math.max(askedMs, backoffMs(backoff, failures, random)), signal).catch(() => {});
      }
    },
  };
}
