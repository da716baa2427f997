import { Worker } from 'node:worker_threads';
import { InferenceError, type InferenceErrorCode, type Tensor } from '@roundhouse/v2-protocol';
import { corrupt, unsupported } from '../../model.ts';
import type { OnnxSession } from './session.ts';
import type { Call, Opened, Reply } from './worker-protocol.ts';

/** Threads that run large ONNX models, so that others do not wait for them. */
export type OnnxWorkers = {
  open(path: string): Promise<OnnxSession>;
  close(): Promise<void>;
};

type Waiting = { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void };
type Thread = { readonly worker: Worker; readonly waiting: Map<number, Waiting>; sessions: number };
type Question = Call extends infer Each ? (Each extends Call ? Omit<Each, 'id'> : never) : never;

/** Threads start when first needed, up to `threadsMax`; each new model goes to the one with the fewest. */
export function createOnnxWorkers(workerUrl: URL, threadsMax: number): OnnxWorkers {
  const threads: Thread[] = [];
  let lastId = 0;

  const start = (): Thread => {
    const thread: Thread = { worker: new Worker(workerUrl), waiting: new Map(), sessions: 0 };
    const fail = (message: string) => {
      const index = threads.indexOf(thread);
      if (index >= 0) threads.splice(index, 1);
      for (const { reject } of thread.waiting.values()) reject(new InferenceError('inference/failed', message));
      thread.waiting.clear();
    };
    thread.worker.on('message', (reply: Reply) => {
      const waiting = thread.waiting.get(reply.id);
      thread.waiting.delete(reply.id);
      if (thread.waiting.size === 0) thread.worker.unref();
      if (reply.ok) waiting?.resolve(reply.value);
      else waiting?.reject(revived(reply.code, reply.message));
    });
    thread.worker.on('error', (error) => fail(`the model's thread failed: ${error.message}`));
    thread.worker.on('exit', () => fail("the model's thread ended"));
    thread.worker.unref();
    threads.push(thread);
    return thread;
  };

  const ask = (thread: Thread, call: Question): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (!threads.includes(thread)) return reject(new InferenceError('inference/failed', "the model's thread ended"));
      const id = ++lastId;
      thread.waiting.set(id, { resolve, reject });
      thread.worker.ref();
      thread.worker.postMessage({ id, ...call });
    });

  return {
    async open(path) {
      const least = threads.reduce<Thread | undefined>((a, b) => (a && a.sessions <= b.sessions ? a : b), undefined);
      const thread = least === undefined || (least.sessions > 0 && threads.length < threadsMax) ? start() : least;
      const session = ++lastId;
      thread.sessions++;
      try {
        const { inputs, outputs } = (await ask(thread, { kind: 'open', session, path })) as Opened;
        return {
          inputs,
          outputs,
          run: (tensors, wanted) =>
            ask(thread, { kind: 'run', session, inputs: tensors, wanted }) as Promise<readonly Tensor[]>,
          async close() {
            thread.sessions--;
            await ask(thread, { kind: 'close', session });
          },
        };
      } catch (error) {
        thread.sessions--;
        throw error;
      }
    },
    async close() {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}

function revived(code: string, message: string): Error {
  if (code === 'model/invalid') return corrupt(message);
  if (code === 'model/unsupported') return unsupported(message);
  return new InferenceError(code.startsWith('inference/') ? (code as InferenceErrorCode) : 'inference/failed', message);
}
