import { readFile } from 'node:fs/promises';
import type { Clock } from '@roundhouse/base';
import { decodeInferRequest, decodeV1Request, encodeInferResponse, encodeV1Response } from '@roundhouse/v2-protocol';
import type { decodeGrpcRequest, encodeGrpcResponse } from '@roundhouse/v2-protocol/grpc';
import { evaluate } from '../runtimes/evaluate.ts';
import type { OnnxSession } from '../runtimes/onnx/session.ts';
import { parseTabular } from '../runtimes/tabular-file.ts';

// Loaded where they are used: a thread that parses a file needs neither.
const grpc = () => import('@roundhouse/v2-protocol/grpc');
const onnx = () => import('../runtimes/onnx/session.ts');

/**
 * What a thread can be asked for. Arguments and results are plain data; the milliseconds beside a prediction are those that the
 * work itself took.
 */
export function createTasks(clock: Pick<Clock, 'monotonic'>) {
  /** ONNX sessions of this thread; none can be used from another. */
  const sessions = new Map<number, OnnxSession>();

  const sessionOf = (id: number): OnnxSession => {
    const session = sessions.get(id);
    if (session === undefined) throw new Error('the session is closed');
    return session;
  };

  return {
    decodeInferRequest,
    encodeInferResponse,
    decodeV1Request,
    encodeV1Response,
    decodeGrpcRequest: async (...given: Parameters<typeof decodeGrpcRequest>) =>
      (await grpc()).decodeGrpcRequest(...given),
    encodeGrpcResponse: async (...given: Parameters<typeof encodeGrpcResponse>) =>
      (await grpc()).encodeGrpcResponse(...given),

    parseTabular: async (path: string, format: 'xgboost' | 'lightgbm') => parseTabular(await readFile(path), format),
    evaluate(...given: Parameters<typeof evaluate>) {
      const startedMs = clock.monotonic();
      const data = evaluate(...given);
      return { data, ms: clock.monotonic() - startedMs };
    },

    async warmUpOnnx() {
      await (await import('../runtimes/onnx/warm-up.ts')).warmUpOnnx();
    },
    async openSession(id: number, path: string) {
      const session = await (await onnx()).openOnnxSession(path);
      sessions.set(id, session);
      const { inputs, outputs } = session;
      return { inputs, outputs };
    },
    async runSession(id: number, ...given: Parameters<OnnxSession['run']>) {
      const startedMs = clock.monotonic();
      const outputs = await sessionOf(id).run(...given);
      return { outputs, ms: clock.monotonic() - startedMs };
    },
    async closeSession(id: number) {
      const session = sessionOf(id);
      sessions.delete(id);
      await session.close();
    },
  };
}

export type Tasks = ReturnType<typeof createTasks>;
export type TaskName = keyof Tasks;

export type Call = { readonly id: number; readonly task: TaskName; readonly given: readonly unknown[] };

/** Errors lose their class between threads, so their code travels beside the message. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };
