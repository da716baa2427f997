import { until, type World } from './world.ts';

export type LoadTime = { readonly models: number; readonly ms: number };

/** How long until `count` models that are applied at once are all Ready, for each of `sizes`. */
export async function measureLoading(
  world: World,
  sizes: readonly number[],
  say: (line: string) => void,
): Promise<readonly LoadTime[]> {
  const service = 'loading';
  await world.serve(service);
  // A server's first load brings its library into memory: that is its start, and not counted here.
  for (const [index] of world.server.frameworks.entries()) {
    await world.add(`first-${index}`, service, index + 1);
    await until('the first models answer', async () => (await world.predict(service, `first-${index}`)) > 0);
  }
  const times: LoadTime[] = [];
  for (const models of sizes) {
    try {
      const ms = await loadAtOnce(world, service, models, say);
      times.push({ models, ms });
      say(`${models} models Ready in ${(ms / 1000).toFixed(2)} s`);
    } catch (error) {
      say(`${models} models: ${(error as Error).message}`); // what was measured before stands
      break;
    }
  }
  return times;
}

async function loadAtOnce(world: World, service: string, models: number, say: (line: string) => void): Promise<number> {
  const names = Array.from({ length: models }, (_, index) => `load-${models}-${index + 1}`);
  const isMine = ({ name }: { readonly name: string }) => name.startsWith(`load-${models}-`);
  const everyMs = models < 100 ? 5 : models;
  const began = performance.now();
  const remaining = names.values();
  // As many requests at once as kubectl would make; the models of one apply do not wait for each other.
  const post = async () => {
    for (const name of remaining) await world.add(name, service, Number(name.split('-')[2]));
  };
  await Promise.all(Array.from({ length: 8 }, post));
  let nextTellMs = tellEveryMs;
  const allReady = async () => {
    const mine = (await world.models()).filter(isMine);
    const ready = mine.filter(({ ready }) => ready).length;
    const elapsedMs = performance.now() - began;
    if (elapsedMs > nextTellMs) {
      nextTellMs = elapsedMs + tellEveryMs;
      say(`${ready} of ${models} models Ready after ${Math.round(elapsedMs / 1000)} s`);
    }
    return ready === models;
  };
  await until(`${models} models are Ready`, allReady, loadingMsMax, everyMs);
  const ms = performance.now() - began;
  for (const name of names) await world.remove(name);
  await until('they are gone', async () => !(await world.models()).some(isMine), loadingMsMax, everyMs);
  return ms;
}

/** Long loads tell how far they are. */
const tellEveryMs = 15_000;

/** MLServer's thousand, and Triton's three hundred at two seconds each. */
const loadingMsMax = 25 * 60_000;
