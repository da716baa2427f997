import { type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api, KubeObject, Resource } from '../api.ts';

export type ReconcilerDeps = { readonly api: Api; readonly clock: Clock; readonly log: Log };

export type Reconciler = {
  readonly name: string;
  /** What wakes it: each change of an object of `resource` asks for `keysOf` that object. */
  readonly sources: readonly { readonly resource: Resource; keysOf(object: KubeObject): readonly string[] }[];
  /** Reads and writes the store synchronously, so nothing changes in between. Returns when to look again, if at all. */
  reconcile(key: string): { readonly againMs: number } | undefined;
};

const retryMsFirst = 100;
const retryMsMax = 10_000;

/** Looks at every key once at the start and again whenever one of its sources changes. The returned function ends it. */
export function startReconciler({ api, clock, log }: ReconcilerDeps, { name, sources, reconcile }: Reconciler) {
  const dirty = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, () => void>();
  let scheduled = false;
  let closed = false;

  const ask = (key: string) => {
    dirty.add(key);
    if (scheduled) return;
    scheduled = true;
    setImmediate(drain);
  };

  const askLater = (key: string, delayMs: number) => {
    timers.get(key)?.();
    timers.set(
      key,
      clock.after(delayMs, () => ask(key)),
    );
  };

  const drain = () => {
    scheduled = false;
    const keys = [...dirty];
    dirty.clear();
    for (const key of keys) if (!closed) look(key);
  };

  const look = (key: string) => {
    timers.get(key)?.();
    timers.delete(key);
    try {
      const again = reconcile(key);
      failures.delete(key);
      if (again !== undefined) askLater(key, again.againMs);
    } catch (error) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      log.warn({ key, count, err: error }, `${name} failed: ${messageOf(error)}`);
      askLater(key, Math.min(retryMsMax, retryMsFirst * 2 ** Math.min(count - 1, 10)));
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
