import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { decodeV1Request, type InferRequest } from '@roundhouse/v2-protocol';
import { createInference } from '../../apps/model-server/src/inference.ts';
import { openRepository } from '../../apps/model-server/src/testing/open-repository.ts';
import { checkout } from '../frame/stack.ts';

export type Predict = () => Promise<unknown>;

/** As much of onnxruntime-node as is used here; it is a dependency of the server alone. */
type Runtime = {
  readonly InferenceSession: {
    create(path: string, options: object): Promise<{ run(feeds: object): Promise<unknown> }>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => object;
};

/** A prediction as a request that has been decoded makes it, without HTTP. */
export async function predictHere(models: string, model: string, request: () => InferRequest): Promise<Predict> {
  const repository = openRepository(models);
  await repository.load(model);
  const inference = createInference(repository, { decodeV1Request }, 1_000);
  return () => inference.infer(model, undefined, request());
}

export const irisRequest = (): InferRequest => ({
  id: undefined,
  parameters: {},
  inputs: [{ name: 'X', datatype: 'FP32', shape: [1, 4], data: Float32Array.of(5.1, 3.5, 1.4, 0.2) }],
  outputs: [],
});

/** The same prediction by the native library's own interface, with the options of the server. */
export async function predictBare(): Promise<Predict> {
  const ort: Runtime = createRequire(join(checkout, 'apps/model-server/package.json'))('onnxruntime-node');
  const path = join(checkout, 'examples/models/iris-onnx/model.onnx');
  const session = await ort.InferenceSession.create(path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    logSeverityLevel: 4,
  });
  return () => session.run({ X: new ort.Tensor('float32', Float32Array.of(5.1, 3.5, 1.4, 0.2), [1, 4]) });
}

/** Microseconds of one call, by the clock and of CPU time, over calls of about `forMs` milliseconds, after as long a warm-up. */
export async function microsecondsOf(predict: Predict, forMs = 500) {
  const run = async () => {
    const startedMs = performance.now();
    const before = process.cpuUsage();
    let calls = 0;
    for (; performance.now() - startedMs < forMs; calls += 20) for (let at = 0; at < 20; at++) await predict();
    const elapsedMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(before);
    return { elapsed: (elapsedMs * 1_000) / calls, cpu: (user + system) / calls };
  };
  await run();
  return run();
}

export type Expected = { readonly row: readonly number[]; readonly xgboost: number; readonly lightgbm: number };

export const expected: Expected = JSON.parse(readFileSync(join(import.meta.dirname, 'models/expected.json'), 'utf8'));
