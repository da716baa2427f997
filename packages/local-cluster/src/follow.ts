import { expired } from './status.ts';
import type { Change, Store } from './store.ts';

/**
 * Hands every change of `key` after `revision` to `listener`, once and in order, in later turns of the event loop.
 * A revision that the log no longer reaches, or that is not there yet, throws 410: the client lists again.
 */
export function follow(store: Store, key: string, revision: number, listener: (change: Change) => void): () => void {
  const backlog = revision > store.revision ? undefined : store.since(key, revision);
  if (!backlog) throw expired(`too old resource version: ${revision} (${store.revision})`);
  const queue: Change[] = [];
  let isStopped = false;

  const drain = () => {
    for (const change of queue.splice(0)) if (!isStopped) listener(change);
  };
  const add = (changes: readonly Change[]) => {
    if (queue.length === 0 && changes.length > 0) setImmediate(drain);
    queue.push(...changes);
  };
  add(backlog);
  const unsubscribe = store.onChange((change) => {
    if (change.key === key) add([change]);
  });
  return () => {
    isStopped = true;
    unsubscribe();
  };
}
