import { elementCount, layoutOf, type Tensor, type TensorMetadata } from '@roundhouse/v2-protocol';
import type { OnnxSession } from './session.ts';

/** What a prediction of so many elements took. */
export type Timing = { readonly size: number; readonly ms: number };

/** Larger inputs than these are not made up: the model is large then, and gets a thread anyway. */
const elementsMax = 4 * 1024 * 1024;
/** Where one row takes longer than this, larger predictions are not tried. */
const quickMs = 5;
/** What is as fast as this needs no second look. */
const fastMs = 0.2;
const runsMax = 4;
/** A run may be slow because others have the processor; so many milliseconds of runs are waited for one that is not. */
const slowMs = 50;
const manyRows = 64;

/** Predicts on zeros, then on so many rows, where the model takes them; the fastest of a few runs counts. */
export async function timeRuns(session: OnnxSession, now: () => number): Promise<readonly Timing[]> {
  const timings: Timing[] = [];
  for (const rows of [1, manyRows]) {
    const inputs = session.inputs.map((input) => zeros(input, rows));
    const size = sizeOf(inputs);
    if (size > elementsMax) break;
    const run = async () => {
      const startedMs = now();
      await session.run(
        inputs,
        session.outputs.map(({ name }) => name),
      );
      return now() - startedMs;
    };
    try {
      const times = [await run()];
      while (times.length < runsMax && Math.min(...times) > fastMs && sum(times) < slowMs) times.push(await run());
      timings.push({ size, ms: Math.min(...times) });
      if (Math.min(...times) >= quickMs) break;
    } catch {
      // Zeros, or so many of them, are not what the model takes.
      break;
    }
  }
  return timings;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export function sizeOf(inputs: readonly Tensor[]): number {
  return inputs.reduce((sum, { data }) => sum + data.length, 0);
}

/** The first free dimension counts rows; other free ones are 1. */
function zeros({ name, datatype, shape }: TensorMetadata, rows: number): Tensor {
  const filled = shape.map((size, at) => (size >= 0 ? size : at === 0 ? rows : 1));
  const count = elementCount(filled);
  const { kind, create } = layoutOf(datatype);
  const data = kind === 'bytes' ? Array.from({ length: count }, () => new Uint8Array()) : create(count);
  return { name, datatype, shape: filled, data };
}
