import { parentPort } from 'node:worker_threads';
import { CodedError, messageOf } from '@roundhouse/base';
import { type OnnxSession, openOnnxSession } from './runtimes/onnx/session.ts';
import type { Call, Reply } from './runtimes/onnx/worker-protocol.ts';

const sessions = new Map<number, OnnxSession>();

async function answer(call: Call): Promise<unknown> {
  const session = sessions.get(call.session);
  switch (call.kind) {
    case 'open': {
      const opened = await openOnnxSession(call.path);
      sessions.set(call.session, opened);
      return { inputs: opened.inputs, outputs: opened.outputs };
    }
    case 'run':
      return session?.run(call.inputs, call.wanted);
    case 'close':
      sessions.delete(call.session);
      return session?.close();
  }
}

parentPort?.on('message', async (call: Call) => {
  const { id } = call;
  const reply: Reply = await answer(call).then(
    (value) => ({ id, ok: true, value }),
    (error) => ({ id, ok: false, code: error instanceof CodedError ? error.code : '', message: messageOf(error) }),
  );
  parentPort?.postMessage(reply);
});
