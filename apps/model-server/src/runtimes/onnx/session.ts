import { readFile } from 'node:fs/promises';
import { messageOf } from '@roundhouse/base';
import {
  InferenceError,
  invalid,
  type Tensor,
  type TensorData,
  type TensorMetadata,
  textOf,
} from '@roundhouse/v2-protocol';
import type { InferenceSession, Tensor as OnnxTensor, OnnxValue } from 'onnxruntime-node';
import { corrupt, unsupported } from '../../model.ts';
import { onnxRuntime } from './library.ts';
import { dataTypes, onnxTypes, tensorsOf } from './metadata.ts';
import { withoutZipMap } from './zip-map.ts';

/** A session with V2 tensors in and out. `run` blocks the thread that it is called on. */
export type OnnxSession = {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  run(inputs: readonly Tensor[], wanted: readonly string[]): Promise<readonly Tensor[]>;
  close(): Promise<void>;
};

const options: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  // One thread: a pool of its own per session costs memory, and 29 ms to end.
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // An arena keeps what the largest request ever needed, in each of a thousand models.
  enableCpuMemArena: false,
  logSeverityLevel: 4,
};

/** Opens the file by its path, so that weights kept in files beside it are found. */
export async function openOnnxSession(path: string): Promise<OnnxSession> {
  const runtime = await onnxRuntime();
  const session = await createSession(runtime, path);
  try {
    const inputs = tensorsOf('input', session.inputMetadata);
    const outputs = tensorsOf('output', session.outputMetadata);
    if (outputs.length === 0) throw unsupported('the model has no output that is a tensor');
    return { inputs, outputs, run: runWith(runtime.Tensor, session), close: () => session.release() };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function createSession(
  { InferenceSession }: typeof import('onnxruntime-node'),
  path: string,
): Promise<InferenceSession> {
  try {
    const session = await InferenceSession.create(path, options);
    if (session.outputMetadata.every(({ isTensor }) => isTensor)) return session;
    const changed = withoutZipMap(await readFile(path));
    if (changed === undefined) return session;
    await session.release();
    return await InferenceSession.create(changed, options);
  } catch (error) {
    throw corrupt(`not a valid ONNX model: ${readable(error)}`, error);
  }
}

function runWith(Tensor: typeof OnnxTensor, session: InferenceSession): OnnxSession['run'] {
  return async (inputs, wanted) => {
    const feeds: Record<string, OnnxTensor> = {};
    for (const { name, datatype, shape, data } of inputs) {
      const type = onnxTypes[datatype] as OnnxTensor.Type;
      const tensor = new Tensor(type, onnxDataOf(name, data) as Float32Array, shape);
      // The tensor would show a Float16Array, of which onnxruntime-node finds no byte.
      feeds[name] = datatype === 'FP16' ? Object.defineProperty(tensor, 'data', { value: data }) : tensor;
    }
    let results: InferenceSession.OnnxValueMapType;
    try {
      results = await session.run(feeds, [...wanted]);
    } catch (error) {
      throw runFailure(error);
    }
    return wanted.map((name) => tensorFrom(name, results[name]));
  };
}

function onnxDataOf(name: string, data: TensorData): unknown {
  return Array.isArray(data) ? data.map((bytes) => textOf(bytes, `an element of "${name}"`)) : data;
}

const encoder = new TextEncoder();

function tensorFrom(name: string, value: OnnxValue | undefined): Tensor {
  if (value === undefined) throw new InferenceError('inference/failed', `the model gave no output "${name}"`);
  const { type, dims, data } = value as OnnxTensor;
  const datatype = dataTypes[type];
  if (datatype === undefined) throw new InferenceError('inference/failed', `output "${name}" is not a tensor`);
  return { name, datatype, shape: [...dims], data: elementsOf(type, data) };
}

function elementsOf(type: OnnxTensor.Type, data: OnnxTensor['data']): TensorData {
  if (Array.isArray(data)) return data.map((text) => encoder.encode(String(text)));
  const numbers = data as Float32Array;
  return type === 'float16' ? new Uint16Array(numbers.buffer, numbers.byteOffset, numbers.length) : numbers;
}

/** What a request can cause is the client's; the rest is the model's. */
function runFailure(error: unknown): InferenceError {
  const text = readable(error);
  const isRequest = /invalid dimensions|invalid rank|unexpected input data type|missing in 'feeds'|INVALID_ARGUMENT/i;
  if (isRequest.test(text)) return invalid(text);
  return new InferenceError('inference/failed', `the model failed: ${text}`, { cause: error });
}

/** ONNX Runtime's text without its own source paths and the path of our file. */
function readable(error: unknown): string {
  return messageOf(error)
    .replaceAll(/(?:\/[\w.+-]+){2,}(?::\d+)?/g, '…')
    .slice(0, 400);
}
