import { aModel, trainedModels } from '@roundhouse/testkit';
import { request } from 'undici';
import type { Benchmark } from '../frame/benchmark.ts';
import { type Fleet, openFleet, until } from '../frame/stack.ts';

/** Models added per round, one after the other; each round starts where the last one ended. */
const modelsPerRound = 25;

const body = JSON.stringify({ inputs: [{ name: 'input-0', shape: [1, 1], datatype: 'FP32', data: [1] }] });

let fleet: Fleet | undefined;
let added = 0;

/** From the API server's answer to the creation of a model to its first successful prediction, asked every 5 ms. */
export const benchmark: Benchmark = {
  name: 'new-model',
  summary: 'one more small model: from the API server’s answer to the first prediction',
  rounds: 4,
  shapes: ['one more model'],
  against: [],
  subjects: [
    {
      name: 'roundhouse',
      async start() {
        fleet = await openFleet();
      },
      async measure() {
        const measurements = [];
        for (let index = 0; index < modelsPerRound; index++) {
          measurements.push({ metric: 'time to first prediction', unit: 'ms', value: await addOne(fleet as Fleet) });
        }
        return measurements;
      },
      async stop() {
        await fleet?.close();
      },
    },
  ],
  bounds: [
    {
      subject: 'roundhouse',
      shape: 'one more model',
      metric: 'time to first prediction',
      statistic: 'median',
      atMost: 200,
    },
    {
      subject: 'roundhouse',
      shape: 'one more model',
      metric: 'time to first prediction',
      statistic: 'p99',
      atMost: 1_000,
    },
  ],
};

async function addOne({ api, artifact, host, stack }: Fleet): Promise<number> {
  const value = added++;
  const name = `model-${value}`;
  const uri = artifact(name, value);
  await api.post(trainedModels, aModel(name, 'fleet', uri));
  const began = performance.now();
  await until(`${name} answers`, async () => {
    const response = await request(`${stack.routerUrl}/v2/models/${name}/infer`, {
      method: 'POST',
      headers: { host, 'content-type': 'application/json' },
      body,
    });
    const text = await response.body.text();
    return response.statusCode === 200 && JSON.parse(text).outputs[0].data[0] === value;
  });
  return performance.now() - began;
}
