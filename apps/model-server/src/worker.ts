import { parentPort } from 'node:worker_threads';
import { CodedError, messageOf, systemClock } from '@roundhouse/base';
import { type Call, createTasks, type Reply } from './threads/tasks.ts';
import { transferablesOf } from './threads/transfer.ts';

const tasks = createTasks(systemClock);

parentPort?.on('message', async ({ id, task, given }: Call) => {
  const run = tasks[task] as (...given: readonly unknown[]) => unknown;
  const reply: Reply = await Promise.try(run, ...given).then(
    (value) => ({ id, ok: true, value }),
    (error) => ({ id, ok: false, code: error instanceof CodedError ? error.code : '', message: messageOf(error) }),
  );
  // What a session gives lies in ONNX Runtime's memory, which cannot move.
  parentPort?.postMessage(reply, task === 'runSession' ? [] : transferablesOf(reply));
});
