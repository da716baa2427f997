import { inferenceServices, type LoadResult, startLoad } from '@roundhouse/testkit';
import type { Protocol } from './servers.ts';
import { until, type World } from './world.ts';

/** What each server is asked to do behind our agent and router, in this order, in one stack. */
export type Step = {
  readonly title: string;
  /** Told apart by protocol in the table. */
  readonly protocols?: true;
  /** Throws what went wrong; resolves to what is worth a word. */
  run(world: World, protocol: Protocol): Promise<string | undefined>;
};

const service = 'fleet';
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const nameOf = (value: number) => `m-${value}`;

/** Connections of the load: as many requests at most are in flight in a process that is killed. */
const connections = 2;

export const steps: readonly Step[] = [
  {
    title: 'a shared service starts without a model',
    async run(world) {
      await world.serve(service);
      return undefined;
    },
  },
  {
    title: 'its models are applied at once, and each gets Ready',
    async run(world) {
      await Promise.all(numbers(world.server.fleet).map((value) => world.add(nameOf(value), service, value)));
      await allReady(world);
      return undefined;
    },
  },
  {
    title: 'each answers by its name, by host and by path prefix',
    protocols: true,
    async run(world, protocol) {
      for (const prefix of protocol === 'grpc' ? [false] : [false, true]) {
        for (const value of numbers(world.server.fleet)) {
          const answer = await world.predict(service, nameOf(value), protocol, prefix);
          if (answer !== value) throw new Error(`${nameOf(value)} answered ${answer}`);
        }
      }
      const stranger = await world.predict(service, 'nobody', protocol).catch((error: Error) => error.message);
      if (!/404|NOT_FOUND/.test(String(stranger))) throw new Error(`an unknown model: ${stranger}`);
      return undefined;
    },
  },
  {
    title: 'models come and go while the others answer',
    run: (world) =>
      underLoad(world, 0, async () => {
        for (const round of [1, 2]) {
          const guests = numbers(2).map((n) => ({ name: `guest-${n}`, value: world.server.fleet + 10 * round + n }));
          for (const { name, value } of guests) await world.add(name, service, value);
          for (const { name, value } of guests) {
            await until(`${name} answers`, async () => (await world.predict(service, name)) === value);
          }
          for (const { name } of guests) await world.remove(name);
          await until('the guests are gone', async () => (await world.models()).length === world.server.fleet);
        }
      }),
  },
  {
    title: 'a changed model is replaced without a gap',
    run: (world) =>
      underLoad(world, 0, async () => {
        const value = world.server.fleet + 50;
        await world.add('changing', service, value);
        await until('it answers', async () => (await world.predict(service, 'changing')) === value);
        const answers = new Set<number>();
        let changed = false;
        const asking = (async () => {
          while (!changed) answers.add(await world.predict(service, 'changing'));
        })();
        await world.change('changing', value + world.server.frameworks.length);
        const next = value + world.server.frameworks.length;
        await until('it answers anew', async () => (await world.predict(service, 'changing')) === next);
        changed = true;
        await asking; // throws if any request failed
        const other = [...answers].filter((answer) => answer !== value && answer !== next);
        if (other.length > 0) throw new Error(`it answered ${other.join()}`);
        await world.remove('changing');
      }),
  },
  {
    title: 'two replicas, then three, under load',
    run: (world) =>
      underLoad(world, 0, async () => {
        for (const replicas of [2, 3]) {
          await scale(world, replicas);
          await until(`${replicas} copies of each`, async () =>
            (await world.models()).every(({ copies }) => copies === `${replicas}/${replicas}`),
          );
        }
        await scale(world, 1);
        await until('one replica again', async () => (await world.pods(service)) === 1);
      }),
  },
  {
    title: 'a corrupt model says why, and harms no other',
    run: async (world) => {
      let said = '';
      await underLoad(world, 0, async () => {
        await world.add('corrupt', service, 'corrupt');
        await until('it says why', async () => {
          const state = (await world.models()).find(({ name }) => name === 'corrupt');
          said = `${state?.reason}: ${state?.message}`;
          return state?.ready === false && /rejected|refused/i.test(said);
        });
        await world.add('after', service, world.server.fleet + 70);
        await until('a good one after it', async () => (await world.predict(service, 'after')) > 0);
        await world.remove('after');
      });
      return said.replace(/\S+-predictor-\S+: /, ''); // the pod's name
    },
  },
  {
    title: 'the server is killed, with a corrupt model applied',
    run: (world) =>
      underLoad(world, connections, async () => {
        await world.kill(service, 'kserve-container');
        await allAnswer(world);
      }),
  },
  {
    title: 'the agent is killed',
    run: (world) =>
      underLoad(world, connections, async () => {
        await world.kill(service, 'agent');
        await allAnswer(world);
        await world.add('late', service, world.server.fleet + 80);
        await until('a model added afterwards', async () => (await world.predict(service, 'late')) > 0);
        await world.remove('late');
      }),
  },
  {
    title: 'the service goes, and its models with it',
    async run(world) {
      await world.api.delete(`${inferenceServices}/${service}`);
      await until('no model is left', async () => (await world.models()).length === 0);
      await until('no pod is left', async () => (await world.pods(service)) === 0);
      return undefined;
    },
  },
];

async function allReady(world: World): Promise<void> {
  await until('each model is Ready', async () => (await world.models()).every(({ ready }) => ready));
}

async function allAnswer(world: World): Promise<void> {
  for (const value of numbers(world.server.fleet)) {
    await until(`${nameOf(value)} answers`, async () => (await world.predict(service, nameOf(value))) === value);
  }
}

const scale = (world: World, replicas: number) =>
  world.api.patch(`${inferenceServices}/${service}`, { spec: { predictor: { minReplicas: replicas } } });

/** Does `act` while the fleet is asked all the time; at most `failuresMax` of the requests may fail, and none may be wrong. */
async function underLoad(world: World, failuresMax: number, act: () => Promise<void>): Promise<string> {
  const targets = numbers(world.server.fleet).map((value) => ({
    model: nameOf(value),
    host: world.host(service),
    expected: value,
  }));
  const load = startLoad(world.stack.routerUrl, () => targets, connections);
  let result: LoadResult | undefined;
  try {
    await act();
  } finally {
    result = await load.stop();
  }
  const { answered, failures, wrong } = result;
  if (wrong.length > 0) throw new Error(`wrong answers: ${wrong.slice(0, 3).join('; ')}`);
  if (failures.length > failuresMax) {
    const some = failures.slice(0, 3).map(({ model, what }) => `${model}: ${what}`);
    throw new Error(`${failures.length} of ${answered + failures.length} requests failed: ${some.join('; ')}`);
  }
  return `${answered} requests, ${failures.length} failed`;
}
