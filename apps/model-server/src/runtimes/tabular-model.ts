import type { Clock } from '@roundhouse/base';
import { InferenceError, type Tensor } from '@roundhouse/v2-protocol';
import { createCost } from '../cost.ts';
import type { Model } from '../model.ts';
import { onTheSpotMsMax } from '../on-the-spot.ts';
import type { Pool } from '../threads/pool.ts';
import { evaluate, type Numbers } from './evaluate.ts';
import { treesOf } from './program.ts';
import type { Tabular } from './tabular.ts';

/** Values in one answer, 128 MB as FP64: a small body must not make a large one. */
const answerValuesMax = 16 * 1024 * 1024;

export type TabularDeps = { readonly clock: Clock; readonly pool: Pick<Pool, 'ask'> };

/** First guess for one tree and one row; a walk of 6 to 8 splits takes some 70 ns. */
const walkMs = 0.0001;

/** A model that takes a table of numbers and gives one row of numbers for each, with the tensor names of KServe's servers. */
export function tabularModel({ clock, pool }: TabularDeps, tabular: Tabular): Model {
  const { featureCount, features, outputCount, datatype, program } = tabular;
  const tail = outputCount === 1 ? [] : [outputCount];
  const cost = createCost(treesOf(program) * walkMs);
  const answer = (data: Float32Array | Float64Array, count: number): Tensor[] => [
    { name: 'output-0', datatype, shape: [count, ...tail], data },
  ];
  const elsewhere = async (input: Numbers, count: number) => {
    const { data, ms } = await pool.ask('evaluate', program, input, count);
    cost.learn(count, ms);
    return answer(data, count);
  };
  return {
    platform: program.library,
    inputs: [{ name: 'input-0', datatype, shape: [-1, featureCount] }],
    outputs: [{ name: 'output-0', datatype, shape: [-1, ...tail] }],
    features,
    takesAnyNumber: true,
    predict([input]) {
      const count = input?.shape[0] ?? 0;
      if (count * outputCount > answerValuesMax)
        throw new InferenceError('inference/too-large', `${count} rows are too many for one request`);
      const data = (input?.data ?? new Float32Array()) as Numbers;
      if (cost.estimateMs(count) > onTheSpotMsMax) return elsewhere(data, count);
      const startedMs = clock.monotonic();
      const result = evaluate(program, data, count);
      cost.learn(count, clock.monotonic() - startedMs);
      return answer(result, count);
    },
    async close() {},
  };
}
