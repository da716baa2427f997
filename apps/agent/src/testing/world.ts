import { CodedError } from '@roundhouse/base';
import { type StepClock, stepClock } from '@roundhouse/testkit';
import type { ModelDisk, OnDisk } from '../disk.ts';
import { type Entry, enter, leave } from '../entry.ts';
import { createKeeper, type Keeper, type KeeperDeps } from '../keeper.ts';
import { createLife } from '../life.ts';
import { versionOf, type WantedModel } from '../model.ts';
import { defaultLimits, type Limits } from '../steps.ts';

export function aModel(name: string, fields: Partial<WantedModel> = {}): WantedModel {
  const model = {
    name,
    storageUri: `file:///models/${name}`,
    framework: 'onnx',
    memory: '1Mi',
    sha256: undefined,
    secret: undefined,
  };
  return { ...model, digest: JSON.stringify({ ...model, ...fields }), ...fields };
}

/** A disk, a store and a model server in memory, and the keeper between them. Time stands still until told to move. */
export type SimulatedWorld = {
  readonly clock: StepClock;
  keeper: Keeper;
  readonly lines: string[];
  /** What the server answers with: model → version. Undefined: the server is down. */
  serving: Map<string, string> | undefined;
  readonly disk: Map<
    string,
    { placed?: string | undefined; ready?: string | undefined; previous?: string | undefined }
  >;
  /** Codes that the next downloads and loads fail with. */
  readonly failing: { readonly downloads: string[]; readonly loads: string[] };
  readonly most: { downloads: number; loads: number };
  readonly calls: string[];
  /** Lets everything that waits for nothing but its turn happen. */
  turn(): Promise<void>;
  /** Moves time on in steps, with turns between. */
  pass(ms: number): Promise<void>;
  startServer(): void;
  killServer(): void;
  /** As the watch does. */
  observe(): void;
  /** A request to the model starts; the returned function ends it. */
  request(model: string): (failed?: boolean) => void;
  /** A new agent over the same disk and server. */
  restartAgent(): Promise<void>;
};

export async function simulate(limits: Partial<Limits> = {}): Promise<SimulatedWorld> {
  const clock = stepClock();
  const running = { downloads: 0, loads: 0 };
  let stop = new AbortController();

  /** A step that takes simulated time, and fails when the agent is killed under it. */
  async function step<T>(kind: 'downloads' | 'loads', signal: AbortSignal, ms: number, act: () => T): Promise<T> {
    world.most[kind] = Math.max(world.most[kind], ++running[kind]);
    try {
      await clock.sleep(ms, signal);
      const code = world.failing[kind].shift();
      if (code !== undefined) throw new CodedError(code, 'scripted');
      return act();
    } finally {
      running[kind]--;
    }
  }

  const entryOf = (name: string) => {
    const entry = world.disk.get(name) ?? {};
    world.disk.set(name, entry);
    return entry;
  };
  const serving = () => {
    if (world.serving === undefined) throw new CodedError('server/unreachable', 'the model server is not listening');
    return world.serving;
  };

  const deps = (): KeeperDeps => ({
    clock,
    random: () => 0.5,
    disk: diskOver(world.disk, entryOf),
    server: {
      async load(name, signal) {
        world.calls.push(`load ${name}`);
        serving();
        await step('loads', signal, 5, () => serving().set(name, world.disk.get(name)?.placed ?? 'nothing there'));
      },
      async unload(name) {
        world.calls.push(`unload ${name}`);
        serving().delete(name);
      },
    },
    fetchModel: (model, _directory, _progress, signal) =>
      step('downloads', signal, 10, () => {
        world.calls.push(`download ${model.name}`);
        return { files: 1, bytes: 12 };
      }),
    life: createLife({ clock, write: (line) => world.lines.push(line) }),
    onChange: () => {},
    onGone: () => {},
    onDoubt: () => {},
  });

  const world: SimulatedWorld = {
    clock,
    keeper: undefined as unknown as Keeper, // set by restartAgent below
    lines: [],
    serving: new Map(),
    disk: new Map(),
    failing: { downloads: [], loads: [] },
    most: { downloads: 0, loads: 0 },
    calls: [],
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    async pass(ms) {
      for (let left = ms; left > 0; left -= 250) {
        clock.advance(Math.min(250, left));
        await world.turn();
      }
    },
    startServer() {
      world.serving ??= new Map();
      world.observe();
    },
    killServer() {
      world.serving = undefined;
      world.keeper.down();
    },
    observe() {
      if (world.serving === undefined) return world.keeper.down();
      const listed = Array.from(world.serving.keys(), (name) => ({ name, ready: true, reason: undefined }));
      world.keeper.observed(listed, world.keeper.changes);
    },
    request(model) {
      const entry = world.keeper.entry(model) as Entry | undefined;
      if (entry === undefined) return () => {};
      enter(entry);
      return (failed = false) => leave(entry, failed);
    },
    async restartAgent() {
      stop.abort();
      await world.turn();
      stop = new AbortController();
      const adopting = deps();
      world.keeper = createKeeper(adopting, { ...defaultLimits, ...limits }, stop.signal);
      world.keeper.adopt(await adopting.disk.adopt());
      world.observe();
    },
  };
  await world.restartAgent();
  return world;
}

type Files = { placed?: string | undefined; ready?: string | undefined; previous?: string | undefined };

function diskOver(files: Map<string, Files>, entryOf: (name: string) => Files): ModelDisk {
  return {
    async adopt() {
      const found = new Map<string, OnDisk>();
      for (const [name, entry] of files) {
        const uncertain = entry.previous !== undefined;
        entry.placed ??= entry.previous;
        entry.previous = undefined;
        found.set(name, { placed: entry.placed, ready: entry.ready, uncertain });
      }
      return found;
    },
    stage: async (name) => ({
      directory: name,
      reserve: () => undefined,
      async commit(model) {
        entryOf(model.name).ready = versionOf(model);
      },
      discard: async () => {},
    }),
    async place(name) {
      const entry = entryOf(name);
      entry.previous = entry.placed;
      entry.placed = entry.ready;
      entry.ready = undefined;
    },
    async settle(name) {
      entryOf(name).previous = undefined;
    },
    async restore(name) {
      const entry = entryOf(name);
      entry.ready = entry.placed;
      entry.placed = entry.previous;
      entry.previous = undefined;
      return entry.placed !== undefined;
    },
    async remove(name, what) {
      if (what === 'ready') entryOf(name).ready = undefined;
      else files.delete(name);
    },
    saveAssignment: async () => {},
    loadAssignment: async () => undefined,
  };
}
