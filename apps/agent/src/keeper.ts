import {
  type Bounded,
  backoffMs,
  bounded,
  type Clock,
  CodedError,
  messageOf,
  type Random,
  within,
} from '@roundhouse/base';
import type { ListedModel, ModelServer } from '@roundhouse/dialects';
import type { ModelDisk, OnDisk } from './disk.ts';
import { failureOf } from './failure.ts';
import type { Life } from './life.ts';
import { type Failure, versionOf, type WantedModel } from './model.ts';
import { type Activity, type ModelFacts, planModel, type Step, stateOf, unknownVersion } from './plan.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One model in the table. Only the keeper writes it. */
export type Entry = Mutable<ModelFacts> & {
  readonly name: string;
  inFlight: number;
  /** Of the download under way. */
  bytesDone: number;
  bytesTotal: number;
  /** The keeper's own. */
  readonly own: Own;
};

type Own = {
  /** A crash left it open which version the server has. */
  uncertain: boolean;
  abort: AbortController | undefined;
  cancelTimer: (() => void) | undefined;
  onIdle: (() => void) | undefined;
  /** Count of changes when the server last answered a load or unload of this model. */
  touched: number;
  told: string;
};

export type FetchModel = (
  model: WantedModel,
  directory: string,
  onProgress: (bytesDone: number, bytesTotal: number) => void,
  signal: AbortSignal,
) => Promise<{ readonly files: number; readonly bytes: number }>;

export type KeeperDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: ModelDisk;
  readonly server: Pick<ModelServer, 'load' | 'unload'>;
  readonly fetchModel: FetchModel;
  readonly life: Life;
  /** What others can see of this model has changed. */
  readonly onChange: (entry: Readonly<Entry>) => void;
  readonly onGone: (name: string) => void;
  /** The server did not do as it should: look at it. */
  readonly onDoubt: () => void;
};

export type Limits = {
  readonly downloadsMax: number;
  readonly loadsMax: number;
  readonly unloadsMax: number;
  readonly downloadMs: number;
  readonly drainMs: number;
};

export const defaultLimits: Limits = {
  // Twenty slow artifacts at once, and a full replica within the pool of connections that storage bounds by itself.
  downloadsMax: 32,
  // Triton loads four at a time, the Python servers one: a short queue on their side keeps them busy.
  loadsMax: 8,
  unloadsMax: 8,
  // A stalled connection is noticed by storage long before; this bounds what trickles.
  downloadMs: 6 * 3_600_000,
  // Requests in flight on a model that goes away.
  drainMs: 30_000,
};

/** How often a server that refuses an unload is asked again before the model counts as gone. */
const unloadAttemptsMax = 5;
const unloadBackoff = { firstMs: 200, maxMs: 5_000 };

/** Makes what the server has loaded equal what is wanted, model by model. */
export type Keeper = ReturnType<typeof createKeeper>;

export function createKeeper(deps: KeeperDeps, limits: Limits, stop: AbortSignal) {
  const { clock, random, disk, server, life } = deps;
  const table = new Map<string, Entry>();
  const dirty = new Set<string>();
  const pools = {
    download: bounded(limits.downloadsMax),
    load: bounded(limits.loadsMax),
    unload: bounded(limits.unloadsMax),
    remove: bounded(limits.unloadsMax),
  };
  const working = new Set<Promise<void>>();
  let scheduled = false;
  let serverUp = false;
  let told = false;
  let changes = 0;

  function entryFor(name: string): Entry {
    const entry = table.get(name) ?? emptyEntry(name);
    table.set(name, entry);
    return entry;
  }

  function wake(name: string) {
    dirty.add(name);
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(settle);
  }

  const wakeAll = () => {
    for (const name of table.keys()) wake(name);
  };

  function settle() {
    scheduled = false;
    const names = [...dirty];
    dirty.clear();
    if (stop.aborted) return;
    for (const name of names) {
      const entry = table.get(name);
      if (entry === undefined) continue;
      act(entry, planModel(entry, { nowMs: clock.monotonic(), serverUp, told }));
      tell(entry);
    }
  }

  function act(entry: Entry, step: Step) {
    const digest = entry.wanted?.digest;
    entry.own.cancelTimer?.();
    entry.own.cancelTimer = undefined;
    switch (step.kind) {
      case 'rest':
        return;
      case 'wait': {
        if (step.untilMs === Number.POSITIVE_INFINITY) return;
        entry.own.cancelTimer = clock.after(step.untilMs - clock.monotonic(), () => wake(entry.name));
        return;
      }
      case 'cancel':
        return entry.own.abort?.abort(new CodedError('agent/cancelled', 'not wanted any more'));
      case 'download':
        return begin(entry, 'download', digest, (signal) => download(entry, step.model, signal));
      case 'load':
        return begin(entry, 'load', digest, (signal) => load(entry, step.version, step.from, signal));
      case 'discard':
        return begin(entry, 'remove', digest, async () => {
          await disk.remove(entry.name, 'ready');
          entry.ready = undefined;
        });
      case 'unload':
        return begin(entry, 'unload', undefined, (signal) => unload(entry, signal));
      case 'remove':
        return begin(entry, 'remove', undefined, () => remove(entry));
      case 'forget': {
        table.delete(entry.name);
        return deps.onGone(entry.name);
      }
    }
  }

  /** Runs `task` as the entry's one activity when its pool has room, and plans again afterwards. */
  function begin(
    entry: Entry,
    kind: Activity['kind'],
    digest: string | undefined,
    task: (signal: AbortSignal) => Promise<void>,
  ) {
    const abort = new AbortController();
    const signal = AbortSignal.any([stop, abort.signal]);
    entry.own.abort = abort;
    entry.activity = { kind, digest, phase: kind === 'unload' ? 'draining' : 'waiting' };
    const run = async () => {
      try {
        if (kind === 'unload') await drained(entry, signal);
        await inPool(pools[kind], entry, task, signal);
      } catch (error) {
        if (signal.aborted) {
          if (kind === 'download' && entry.activity?.phase === 'running' && !stop.aborted) life.cancelled(entry.name);
        } else if (kind === 'download' || kind === 'load') {
          failed(entry, kind, digest, error);
        } else {
          await notTakenAway(entry, error);
        }
      }
      entry.activity = undefined;
      entry.own.abort = undefined;
      wake(entry.name);
    };
    const work = run().finally(() => working.delete(work));
    working.add(work);
  }

  function inPool(pool: Bounded, entry: Entry, task: (signal: AbortSignal) => Promise<void>, signal: AbortSignal) {
    return pool.run(async () => {
      if (entry.activity !== undefined) entry.activity = { ...entry.activity, phase: 'running' };
      tell(entry);
      await task(signal);
    }, signal);
  }

  function failed(entry: Entry, stage: Failure['stage'], digest: string | undefined, error: unknown) {
    if (error instanceof CodedError && error.code === 'server/unreachable') return down(); // not the model's fault
    if (error instanceof CodedError && error.code === 'server/broke-off') deps.onDoubt();
    const at = { stage, digest: digest ?? '', previous: entry.failure };
    entry.failure = failureOf(error, { ...at, nowMs: clock.monotonic(), epochMs: clock.now() }, random);
    life.failed(entry.name, entry.failure, clock.monotonic());
  }

  /** There is nothing to report: it is tried again until it works, slowly enough to be no burden. */
  async function notTakenAway(entry: Entry, error: unknown) {
    if (error instanceof CodedError && error.code === 'server/unreachable') return down();
    life.unloadFailed(entry.name, messageOf(error));
    await clock.sleep(unloadBackoff.maxMs, stop).catch(() => {}); // ends early when stopping
  }

  async function download(entry: Entry, model: WantedModel, signal: AbortSignal) {
    const { name } = model;
    const version = versionOf(model);
    const startedMs = clock.monotonic();
    life.downloading(name, model.storageUri);
    entry.bytesDone = entry.bytesTotal = 0;
    const progress = (bytesDone: number, bytesTotal: number) => {
      entry.bytesDone = bytesDone;
      entry.bytesTotal = bytesTotal;
    };
    const directory = await disk.stage(name);
    const got = await deps.fetchModel(model, directory, progress, within(limits.downloadMs, signal));
    await disk.commit(model, version);
    entry.ready = version;
    entry.failure = undefined;
    life.downloaded(name, got.files, got.bytes, clock.monotonic() - startedMs);
  }

  async function load(entry: Entry, version: string, from: 'ready' | 'placed', signal: AbortSignal) {
    const { name } = entry;
    const before = entry.placed;
    const startedMs = clock.monotonic();
    if (from === 'ready') {
      await disk.place(name);
      entry.placed = version;
      entry.ready = undefined;
    }
    try {
      await server.load(name, signal);
    } catch (error) {
      await loadFailed(entry, version, from === 'ready' ? before : undefined, error);
      return;
    } finally {
      entry.own.touched = ++changes;
    }
    entry.loaded = version;
    entry.own.uncertain = false;
    if (entry.wanted !== undefined && versionOf(entry.wanted) === version) entry.failure = undefined;
    life.loaded(name, clock.monotonic() - startedMs);
    await disk.settle(name);
  }

  /** The server keeps the model it had; the disk must say the same, and the older version is what a restart loads. */
  async function loadFailed(entry: Entry, version: string, before: string | undefined, error: unknown) {
    if (before !== undefined && (await disk.restore(entry.name))) {
      entry.placed = before;
      entry.ready = version;
      if (entry.loaded !== undefined && !stop.aborted) life.restored(entry.name);
    }
    const wantsIt = entry.wanted !== undefined && versionOf(entry.wanted) === version;
    const unreachable = error instanceof CodedError && error.code === 'server/unreachable';
    if (wantsIt || unreachable || stop.aborted) throw error;
    entry.givenUp = version;
    life.notRestored(entry.name, messageOf(error));
  }

  async function unload(entry: Entry, signal: AbortSignal) {
    for (let attempt = 1; entry.wanted === undefined; attempt++) {
      try {
        await server.unload(entry.name, signal);
        life.unloaded(entry.name);
        break;
      } catch (error) {
        if (error instanceof CodedError && error.code === 'server/unreachable') throw error;
        signal.throwIfAborted();
        life.unloadFailed(entry.name, messageOf(error));
        if (attempt === unloadAttemptsMax) break;
        await clock.sleep(backoffMs(unloadBackoff, attempt, random), signal);
      }
    }
    if (entry.wanted !== undefined) return; // wanted again before it was asked to go: it stays as it is
    entry.loaded = undefined;
    entry.own.touched = ++changes;
  }

  async function remove(entry: Entry) {
    await disk.remove(entry.name);
    entry.placed = entry.ready = undefined;
    life.removed(entry.name);
    for (const other of table.values()) {
      if (other.failure?.class !== 'no-space') continue;
      other.failure = { ...other.failure, retryAtMs: clock.monotonic() };
      wake(other.name);
    }
  }

  /** Waits until no request is in flight on the model, it is wanted again, or the drain's deadline. */
  async function drained(entry: Entry, signal: AbortSignal) {
    if (entry.inFlight === 0) return;
    life.draining(entry.name, entry.inFlight);
    await new Promise<void>((resolve) => {
      const done = () => {
        entry.own.onIdle = undefined;
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = clock.after(limits.drainMs, done);
      signal.addEventListener('abort', done, { once: true });
      entry.own.onIdle = done;
    });
  }

  function tell(entry: Entry) {
    const { activity, failure, loaded, wanted, ready, placed } = entry;
    const seen = [stateOf(entry), activity?.kind, activity?.phase, failure?.digest, failure?.attempt, loaded];
    const text = [...seen, wanted?.digest, ready, placed].join();
    if (text === entry.own.told || !table.has(entry.name)) return;
    entry.own.told = text;
    deps.onChange(entry);
  }

  function down() {
    if (!serverUp) return;
    serverUp = false;
    for (const entry of table.values()) {
      entry.loaded = undefined;
      wake(entry.name);
    }
    deps.onDoubt();
  }

  return {
    /** What an earlier process left on disk. Called once, before anything else. */
    adopt(found: ReadonlyMap<string, OnDisk>) {
      for (const [name, { placed, ready, uncertain }] of found) {
        const entry = entryFor(name);
        entry.placed = placed;
        entry.ready = ready;
        entry.own.uncertain = uncertain;
        wake(name);
      }
    },

    /** What this replica should hold. `changed` names the models to look at; without it, all are compared. */
    want(models: ReadonlyMap<string, WantedModel>, changed?: Iterable<string>) {
      const names = changed ?? new Set([...models.keys(), ...table.keys()]);
      if (!told) wakeAll();
      told = true;
      for (const name of names) {
        const wanted = models.get(name);
        if (wanted === undefined && !table.has(name)) continue;
        const entry = entryFor(name);
        if (entry.wanted?.digest === wanted?.digest) continue;
        entry.wanted = wanted;
        entry.failure = undefined;
        entry.own.onIdle?.();
        wake(name);
      }
    },

    /** Everything that failed for its credentials is tried at once: they changed. */
    credentialsChanged() {
      for (const entry of table.values()) {
        if (entry.failure?.class !== 'denied' && entry.failure?.class !== 'not-found') continue;
        entry.failure = { ...entry.failure, retryAtMs: clock.monotonic() };
        wake(entry.name);
      }
    },

    /** Number of answered loads and unloads; taken before the server is asked for its list. */
    get changes() {
      return changes;
    },

    /** The server answers, and has these. `changesThen` as it was when it was asked. */
    observed(listed: readonly ListedModel[], changesThen: number) {
      const ready = new Set<string>();
      for (const model of listed) if (model.ready) ready.add(model.name);
      if (!serverUp) {
        serverUp = true;
        for (const entry of table.values()) entry.givenUp = undefined;
        wakeAll();
      }
      for (const entry of table.values()) {
        const busy = entry.activity?.kind === 'load' || entry.activity?.kind === 'unload';
        if (busy || entry.own.touched > changesThen || ready.has(entry.name) === (entry.loaded !== undefined)) continue;
        if (entry.loaded !== undefined) life.lost(entry.name);
        const known = entry.own.uncertain ? unknownVersion : (entry.placed ?? unknownVersion);
        entry.loaded = ready.has(entry.name) ? known : undefined;
        wake(entry.name);
      }
    },

    down,
    get serverUp() {
      return serverUp;
    },
    /** True once somebody said what this replica should hold. */
    get told() {
      return told;
    },
    entry: (name: string): Readonly<Entry> | undefined => table.get(name),
    entries: (): Iterable<Readonly<Entry>> => table.values(),

    /** A request to the model starts, and is over. */
    enter(name: string) {
      const entry = table.get(name);
      if (entry !== undefined) entry.inFlight++;
      return entry;
    },
    leave(entry: Entry) {
      if (--entry.inFlight === 0) entry.own.onIdle?.();
    },

    /** Resolves when nothing runs any more; after `stop`. */
    async close() {
      for (const entry of table.values()) entry.own.cancelTimer?.();
      await Promise.allSettled(working);
    },
  };
}

function emptyEntry(name: string): Entry {
  const own: Own = {
    uncertain: false,
    abort: undefined,
    cancelTimer: undefined,
    onIdle: undefined,
    touched: 0,
    told: '',
  };
  return {
    name,
    wanted: undefined,
    ready: undefined,
    placed: undefined,
    loaded: undefined,
    activity: undefined,
    givenUp: undefined,
    failure: undefined,
    inFlight: 0,
    bytesDone: 0,
    bytesTotal: 0,
    own,
  };
}
