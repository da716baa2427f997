import { aModel, pidOf, trainedModels } from '@roundhouse/testkit';
import type { Benchmark, Measurement } from '../frame/benchmark.ts';
import { processes } from '../frame/process-tree.ts';
import { type Fleet, openFleet, until } from '../frame/stack.ts';

const models = 20;

/** Long enough after the last change for garbage to be collected and buffers to be given back. */
const idleMs = 10_000;

/** One look may fall just before or after a collection; rounds are a little apart. */
const betweenLooksMs = 500;

const parts = {
  controller: ['roundhouse-system', 'roundhouse-controller', 'controller'],
  router: ['roundhouse-system', 'roundhouse-router', 'router'],
  agent: ['default', 'fleet-predictor', 'agent'],
  'model server': ['default', 'fleet-predictor', 'kserve-container'],
} as const;

let fleet: Fleet | undefined;

/** Resident memory of the bundled processes, idle with a few models. */
export const benchmark: Benchmark = {
  name: 'memory',
  summary: 'resident memory of each part, idle, bundled as it ships',
  rounds: 3,
  shapes: ['idle, 20 models'],
  against: [],
  subjects: Object.entries(parts).map(([name, [namespace, pod, container]], index) => ({
    name,
    async start() {
      if (index === 0) fleet = await openIdleFleet();
    },
    measure: () => residentOf(fleet as Fleet, namespace, pod, container),
    async stop() {
      if (index === 0) await fleet?.close();
    },
  })),
  bounds: (
    [
      ['controller', 130],
      ['router', 80],
      ['agent', 80],
    ] as const
  ).map(([subject, atMost]) => ({
    subject,
    shape: 'idle, 20 models',
    metric: 'resident memory',
    statistic: 'median',
    atMost,
  })),
};

async function openIdleFleet(): Promise<Fleet> {
  const opened = await openFleet();
  for (let n = 0; n < models; n++) {
    await opened.api.post(trainedModels, aModel(`m-${n}`, 'fleet', opened.artifact(`m-${n}`, n)));
  }
  await until('all models are ready', async () => {
    const { items } = await opened.api.get<{ items: readonly { status?: { copies?: { summary?: string } } }[] }>(
      trainedModels,
    );
    return items.filter(({ status }) => status?.copies?.summary === '1/1').length === models;
  });
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  return opened;
}

async function residentOf({ api }: Fleet, namespace: string, pod: string, container: string): Promise<Measurement[]> {
  await new Promise((resolve) => setTimeout(resolve, betweenLooksMs));
  const pid = await pidOf(api, namespace, pod, container);
  const found = (await processes()).find((each) => each.pid === pid);
  if (found === undefined) throw new Error(`${container} does not run`);
  return [{ metric: 'resident memory', unit: 'MB', value: found.rssBytes / 1e6 }];
}
