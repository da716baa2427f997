import { messageOf, within } from '@roundhouse/base';
import { isKubeError } from './kube-error.ts';
import type { KubeLog } from './log.ts';
import type { Outcome, WorkQueue } from './work-queue.ts';

/** Brings what belongs to `key` to what it should be. Throwing means: try again later. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<Outcome>;

export type ReconcilerOptions = {
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  /** Keys worked on at a time; one key is never worked on twice at a time. */
  readonly concurrencyMax: number;
  readonly log: KubeLog;
};

/** Beyond this a reconcile is stuck: each call in it has a shorter deadline of its own. */
const reconcileMsMax = 120_000;

/** Works on the queue's keys until `signal` aborts, and returns when the work under way has ended. */
export async function runReconciler(
  { queue, reconcile, concurrencyMax, log }: ReconcilerOptions,
  signal: AbortSignal,
): Promise<void> {
  const running = new Set<Promise<void>>();

  const work = async (key: string) => {
    try {
      queue.done(key, await reconcile(key, within(reconcileMsMax, signal)));
    } catch (error) {
      // Somebody else was faster: that is how writers share objects, and no news.
      if (!signal.aborted && !isKubeError(error, 'conflict')) {
        log.warn({ key, reason: messageOf(error), err: error }, 'reconcile failed');
      }
      queue.done(key, 'failed');
    }
  };

  const start = () => {
    while (running.size < concurrencyMax && !signal.aborted) {
      const key = queue.take();
      if (key === undefined) return;
      const task = work(key).finally(() => {
        running.delete(task);
        start();
      });
      running.add(task);
    }
  };

  queue.onReady(start);
  start();
  await new Promise<void>((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  while (running.size > 0) await Promise.all(running);
}
