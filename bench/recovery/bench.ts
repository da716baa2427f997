import { aModel, pidOf, startLoad, trainedModels } from '@roundhouse/testkit';
import { request } from 'undici';
import type { Benchmark, Measurement } from '../frame/benchmark.ts';
import { type Fleet, openFleet, until } from '../frame/stack.ts';

const models = Array.from({ length: 20 }, (_, n) => ({
  model: `m-${n}`,
  host: 'fleet-default.example.com',
  expected: n,
}));

/** At most one request per connection is in flight in a process when it is killed. */
const connections = 8;

type Part = { readonly namespace: string; readonly pod: string; readonly container: string };

const parts: Readonly<Record<string, Part>> = {
  'model server': { namespace: 'default', pod: 'fleet-predictor', container: 'kserve-container' },
  agent: { namespace: 'default', pod: 'fleet-predictor', container: 'agent' },
  controller: { namespace: 'roundhouse-system', pod: 'roundhouse-controller', container: 'controller' },
  router: { namespace: 'roundhouse-system', pod: 'roundhouse-router', container: 'router' },
};

/** Long enough for the part to be taken for healthy before it is killed again: crashes in a row are restarted ever later. */
const calmMs = 11_000;

let fleet: Fleet | undefined;

/** Each part is killed under load; how long until every model answers again, and which requests failed meanwhile. */
export const benchmark: Benchmark = {
  name: 'recovery',
  summary: 'kill -9 of each part under load: time until every model answers, failed requests',
  rounds: 3,
  shapes: Object.keys(parts),
  against: [],
  subjects: [
    {
      name: 'roundhouse',
      async start() {
        fleet = await openFleet();
        for (const { model, expected } of models) {
          await fleet.api.post(trainedModels, aModel(model, 'fleet', fleet.artifact(model, expected)));
        }
        await allAnswer(fleet);
      },
      measure: (shape) => killed(fleet as Fleet, parts[shape] as Part),
      async stop() {
        await fleet?.close();
      },
    },
  ],
  bounds: Object.keys(parts).flatMap((shape) => [
    { subject: 'roundhouse', shape, metric: 'wrong answers', statistic: 'max' as const, atMost: 0 },
    // Nobody but the router's clients finds a closed door: all other failures are those in flight.
    {
      subject: 'roundhouse',
      shape,
      metric: shape === 'router' ? 'requests in flight that failed' : 'failed requests in all',
      statistic: 'max' as const,
      atMost: shape === 'controller' ? 0 : connections,
    },
    { subject: 'roundhouse', shape, metric: 'last failure after the kill', statistic: 'max' as const, atMost: 1_000 },
  ]),
};

async function killed(fleet: Fleet, { namespace, pod, container }: Part): Promise<Measurement[]> {
  const load = startLoad(fleet.stack.routerUrl, () => models, connections, 2);
  const pid = await pidOf(fleet.api, namespace, pod, container);
  if (pid === undefined) throw new Error(`${container} does not run`);
  const killedAt = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(`${container} runs again`, async () => {
    const now = await pidOf(fleet.api, namespace, pod, container);
    return now !== undefined && now !== pid;
  });
  await allAnswer(fleet);
  const recoveredMs = performance.now() - killedAt;
  const { failures, wrong } = await load.stop();
  // A client that has just lost its connection, and finds nobody yet, was not in flight again.
  const inFlight = failures.filter(({ first }) => first);
  const lastFailure = Math.max(killedAt, ...failures.map(({ atMs }) => atMs));
  await new Promise((resolve) => setTimeout(resolve, calmMs));
  return [
    { metric: 'time until every model answers', unit: 'ms', value: recoveredMs },
    { metric: 'requests in flight that failed', unit: '', value: inFlight.length },
    { metric: 'failed requests in all', unit: '', value: failures.length },
    { metric: 'last failure after the kill', unit: 'ms', value: lastFailure - killedAt },
    { metric: 'wrong answers', unit: '', value: wrong.length },
  ];
}

async function allAnswer({ stack }: Fleet): Promise<void> {
  for (const { model, host } of models) {
    await until(`${model} answers`, async () => {
      try {
        const response = await request(`${stack.routerUrl}/v2/models/${model}`, { headers: { host } });
        await response.body.dump();
        return response.statusCode === 200;
      } catch {
        return false;
      }
    });
  }
}
