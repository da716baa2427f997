import { aModel, startLoad, trainedModels } from '@roundhouse/testkit';
import type { Benchmark } from '../frame/benchmark.ts';
import { type Fleet, openFleet, until } from '../frame/stack.ts';

const stayingModels = 20;
const churnedModels = 20;
const churnMs = 60_000;
const connections = 8;

let fleet: Fleet | undefined;

/** Models are added and removed in a loop for a minute while a constant load asks the others. */
export const benchmark: Benchmark = {
  name: 'churn',
  summary: '20 models added and removed for a minute under load on 20 others: failures, wrong answers',
  rounds: 1,
  shapes: ['20 come and go, 20 stay'],
  against: [],
  subjects: [
    {
      name: 'roundhouse',
      async start() {
        fleet = await openFleet();
        for (let n = 0; n < stayingModels; n++) {
          await fleet.api.post(trainedModels, aModel(`stays-${n}`, 'fleet', fleet.artifact(`stays-${n}`, n)));
        }
        await untilReady(fleet, (name) => name.startsWith('stays-'), stayingModels);
      },
      async measure() {
        const { cycles, result } = await churn(fleet as Fleet);
        return [
          { metric: 'failed requests', unit: '', value: result.failures.length },
          { metric: 'wrong answers', unit: '', value: result.wrong.length },
          { metric: 'time per request answered', unit: 'ms', value: churnMs / result.answered },
          { metric: 'time per cycle of 20 added and removed', unit: 'ms', value: churnMs / cycles },
        ];
      },
      async stop() {
        await fleet?.close();
      },
    },
  ],
  bounds: ['failed requests', 'wrong answers'].map((metric) => ({
    subject: 'roundhouse',
    shape: '20 come and go, 20 stay',
    metric,
    statistic: 'max' as const,
    atMost: 0,
  })),
};

async function churn(fleet: Fleet) {
  const { api, artifact, host, stack } = fleet;
  const targets = Array.from({ length: stayingModels }, (_, n) => ({ model: `stays-${n}`, host, expected: n }));
  const load = startLoad(stack.routerUrl, () => targets, connections);
  const deadline = performance.now() + churnMs;
  let cycles = 0;
  while (performance.now() < deadline) {
    const names = Array.from({ length: churnedModels }, (_, n) => `guest-${n}`);
    await Promise.all(
      names.map((name, n) => api.post(trainedModels, aModel(name, 'fleet', artifact(name, 1_000 + n)))),
    );
    await untilReady(fleet, (name) => name.startsWith('guest-'), churnedModels);
    await Promise.all(names.map((name) => api.delete(`${trainedModels}/${name}`)));
    await until('the guests are gone', async () => (await modelsOf(fleet)).length === stayingModels, 20);
    cycles++;
  }
  return { cycles, result: await load.stop() };
}

type Model = {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
};

async function modelsOf({ api }: Fleet): Promise<readonly Model[]> {
  return (await api.get<{ items: readonly Model[] }>(trainedModels)).items;
}

async function untilReady(fleet: Fleet, chosen: (name: string) => boolean, count: number): Promise<void> {
  const isReady = ({ metadata, status }: Model) =>
    chosen(metadata.name) && status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
  await until(`${count} models are ready`, async () => (await modelsOf(fleet)).filter(isReady).length === count, 20);
}
