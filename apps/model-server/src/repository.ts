import { bounded, type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import { type IndexEntry, InferenceError, type ModelState } from '@roundhouse/v2-protocol';
import type { Model } from './model.ts';
import { createStatistics, type Statistics } from './statistics.ts';

export type Loaded = { readonly model: Model; readonly version: string };

export type Repository = {
  /** Reads the model's files and puts it in service; the old one, if any, serves until then, and stays if this fails. */
  load(name: string): Promise<void>;
  /** Takes the model out of service; requests under way end on it. Unknown models are fine. */
  unload(name: string): Promise<void>;
  index(): readonly IndexEntry[];
  /** Runs `use` on the model as it is now; it stays open until `use` is done. */
  using<T>(name: string, version: string | undefined, use: (loaded: Loaded) => T | Promise<T>): T | Promise<T>;
  names(): readonly string[];
  /** Of a model in service. */
  statisticsOf(name: string): Statistics | undefined;
  close(): Promise<void>;
};

type Holder = Loaded & { readonly statistics: Statistics; users: number; retired: boolean };

type Entry = {
  state: ModelState;
  holder: Holder | undefined;
  /** Loads and unloads of one model run one after the other; `pending` counts those not yet done. */
  turn: Promise<void>;
  pending: number;
};

/** Loads at a time: reading and parsing shares the processor with predictions. */
const loadsMax = 2;

export type RepositoryDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly open: (name: string) => Promise<Loaded>;
};

export function createRepository({ clock, log, open }: RepositoryDeps): Repository {
  const entries = new Map<string, Entry>();
  const loads = bounded(loadsMax);
  const never = new AbortController().signal;

  const retire = (holder: Holder | undefined) => {
    if (holder === undefined) return;
    holder.retired = true;
    if (holder.users === 0) close(holder);
  };

  const close = ({ model }: Holder) => {
    model.close().catch((error) => log.warn({ err: error }, 'a model did not close'));
  };

  const leave = (holder: Holder) => {
    holder.users--;
    if (holder.retired && holder.users === 0) close(holder);
  };

  const entryOf = (name: string): Entry => {
    const known = entries.get(name);
    if (known !== undefined) return known;
    const entry: Entry = { state: 'LOADING', holder: undefined, turn: Promise.resolve(), pending: 0 };
    entries.set(name, entry);
    return entry;
  };

  const inTurn = (name: string, entry: Entry, task: () => Promise<void>): Promise<void> => {
    entry.pending++;
    const result = entry.turn.then(task).finally(() => {
      entry.pending--;
      if (entry.pending === 0 && entry.holder === undefined) entries.delete(name);
    });
    entry.turn = result.catch(() => {});
    return result;
  };

  const loadNow = async (name: string, entry: Entry) => {
    const started = clock.monotonic();
    entry.state = entry.holder === undefined ? 'LOADING' : 'READY';
    try {
      const { model, version } = await open(name);
      const old = entry.holder;
      const statistics = old?.statistics ?? createStatistics();
      entry.holder = { model, version, statistics, users: 0, retired: false };
      entry.state = 'READY';
      retire(old);
      const elapsedMs = Math.round((clock.monotonic() - started) * 10) / 10;
      log.info(
        { model: name, version, platform: model.platform, elapsedMs, reload: old !== undefined },
        'model loaded',
      );
    } catch (error) {
      const reason = messageOf(error);
      log.warn({ model: name, reason, serving: entry.holder !== undefined }, 'model refused');
      throw error;
    }
  };

  const unloadNow = async (name: string, entry: Entry) => {
    if (entry.holder === undefined) return;
    retire(entry.holder);
    entry.holder = undefined;
    entry.state = 'UNAVAILABLE';
    log.info({ model: name }, 'model unloaded');
  };

  return {
    load(name) {
      const entry = entryOf(name);
      return inTurn(name, entry, () => loads.run(() => loadNow(name, entry), never));
    },
    async unload(name) {
      const entry = entries.get(name);
      if (entry !== undefined) await inTurn(name, entry, () => unloadNow(name, entry));
    },
    index() {
      return [...entries].map(([name, { state, holder }]) => ({
        name,
        ...(holder === undefined ? {} : { version: holder.version }),
        state,
      }));
    },
    using(name, version, use) {
      const entry = entries.get(name);
      if (entry === undefined) throw new InferenceError('inference/not-found', `model "${name}" is not found`);
      const { holder } = entry;
      if (holder === undefined) throw new InferenceError('inference/not-ready', `model "${name}" is loading`);
      if (version !== undefined && version !== holder.version)
        throw new InferenceError(
          'inference/not-found',
          `model "${name}" has version ${holder.version}, not ${version}`,
        );
      holder.users++;
      let result: ReturnType<typeof use>;
      try {
        result = use(holder);
      } catch (error) {
        leave(holder);
        throw error;
      }
      if (result instanceof Promise) return result.finally(() => leave(holder));
      leave(holder);
      return result;
    },
    names: () => [...entries].filter(([, { holder }]) => holder !== undefined).map(([name]) => name),
    statisticsOf: (name) => entries.get(name)?.holder?.statistics,
    async close() {
      await Promise.all([...entries].map(([, entry]) => entry.holder?.model.close()));
      entries.clear();
    },
  };
}
