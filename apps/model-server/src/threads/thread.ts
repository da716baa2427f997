import { type ResourceLimits, Worker } from 'node:worker_threads';
import { InferenceError, type InferenceErrorCode } from '@roundhouse/v2-protocol';
import { corrupt, unsupported } from '../model.ts';
import type { Reply, TaskName, Tasks } from './tasks.ts';
import { transferablesOf } from './transfer.ts';

/** A thread that carries out tasks one after the other. */
export type Thread = {
  /**
   * Arrays in `given` that are not shared move to the thread and are empty here afterwards. Rejects as the task does, and with
   * `inference/failed` when the thread ends.
   */
  ask<Name extends TaskName>(name: Name, ...given: Parameters<Tasks[Name]>): Promise<Awaited<ReturnType<Tasks[Name]>>>;
  /** Tasks asked for and not yet done. */
  readonly pending: number;
  readonly hasEnded: boolean;
  close(): Promise<void>;
};

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };

export function startThread(workerUrl: URL, resourceLimits: ResourceLimits = {}): Thread {
  const worker = new Worker(workerUrl, { resourceLimits });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let ended: Error | undefined;

  const end = (error: Error) => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('message', (reply: Reply) => {
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if (reply.ok) asked?.resolve(reply.value);
    else asked?.reject(revived(reply.code, reply.message));
  });
  worker.on('error', ({ message }) =>
    end(new InferenceError('inference/failed', `the model's thread failed: ${message}`)),
  );
  worker.on('exit', () => end(new InferenceError('inference/failed', "the model's thread ended")));
  worker.unref();

  return {
    ask: (task, ...given) =>
      new Promise<never>((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        const id = ++lastId;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        worker.ref();
        worker.postMessage({ id, task, given }, transferablesOf(given));
      }),
    get pending() {
      return waiting.size;
    },
    get hasEnded() {
      return ended !== undefined;
    },
    async close() {
      await worker.terminate();
    },
  };
}

function revived(code: string, message: string): Error {
  if (code === 'model/invalid') return corrupt(message);
  if (code === 'model/unsupported') return unsupported(message);
  return new InferenceError(code.startsWith('inference/') ? (code as InferenceErrorCode) : 'inference/failed', message);
}
