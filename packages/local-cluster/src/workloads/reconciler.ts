import { type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api, KubeObject, Resource } from '../api.ts';

export type ReconcilerDeps = { readonly api: Api; readonly clock: Clock; readonly log: Log };

export type Reconciler = {
  readonly name: string;
  /** What wakes it: each change of an object of `resource` asks for `keysOf` that object, each as `namespace/name`. */
  readonly sources: readonly { readonly resource: Resource; keysOf(object: KubeObject): readonly string[] }[];
  /**
   * Reads and writes the store synchronously, so nothing changes in between. Returns the milliseconds after which to look
   * again, if at all.
   */
  reconcile(namespace: string, name: string): number | undefined;
};

const retryMs = 1000;

/** Looks at every key once at the start and again whenever one of its sources changes. The returned function ends it. */
export function startReconciler({ api, clock, log }: ReconcilerDeps, { name, sources, reconcile }: Reconciler) {
  const dirty = new Set<string>();
  const timers = new Map<string, () => void>();
  let closed = false;

  const ask = (key: string) => {
    if (dirty.size === 0) setImmediate(drain);
    dirty.add(key);
  };
  const drain = () => {
    const keys = [...dirty];
    dirty.clear();
    for (const key of keys) if (!closed) look(key);
  };
  const look = (key: string) => {
    timers.get(key)?.();
    timers.delete(key);
    const afterMs = attempt(key);
    if (afterMs !== undefined)
      timers.set(
        key,
        clock.after(afterMs, () => ask(key)),
      );
  };
  const attempt = (key: string) => {
    const [namespace = '', object = ''] = key.split('/');
    try {
      return reconcile(namespace, object);
    } catch (error) {
      log.warn({ key, err: error }, `${name} failed: ${messageOf(error)}`);
      return retryMs;
    }
  };

  const watches = sources.map(({ resource, keysOf }) => {
    const { items, resourceVersion } = api.list(resource);
    for (const object of items) keysOf(object).forEach(ask);
    return api.watch(resource, { resourceVersion }, ({ object }) => keysOf(object).forEach(ask));
  });

  return () => {
    closed = true;
    for (const end of watches) end();
    for (const cancel of timers.values()) cancel();
  };
}
