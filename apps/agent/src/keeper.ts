import { type Bounded, bounded, CodedError, messageOf } from '@roundhouse/base';
import type { ListedModel } from '@roundhouse/dialects';
import type { OnDisk } from './disk.ts';
import { Entries } from './entries.ts';
import type { Entry } from './entry.ts';
import { failureOf } from './failure.ts';
import type { Failure, FailureClass, WantedModel } from './model.ts';
import { type Activity, planModel, type Step, stateOf, unknownVersion } from './plan.ts';
import { createSteps, type Limits, type StepDeps } from './steps.ts';

export type KeeperDeps = StepDeps & {
  /** What others can see of this model has changed. */
  readonly onChange: (entry: Readonly<Entry>) => void;
  readonly onGone: (name: string) => void;
  /** The server did not do as it should: look at it. */
  readonly onDoubt: () => void;
};

/** A step that takes away and failed is tried again after this. */
const againMs = 5_000;

/** Makes what the server has loaded equal what is wanted, model by model. */
export type Keeper = ReturnType<typeof createKeeper>;

export function createKeeper(deps: KeeperDeps, limits: Limits, stop: AbortSignal) {
  const { clock, random, disk, life } = deps;
  const table = new Entries();
  const dirty = new Set<string>();
  const pools = poolsFor(limits);
  const working = new Set<Promise<void>>();
  const steps = createSteps(deps, limits, stop, {
    touch(entry) {
      entry.own.touched = ++changes;
    },
    roomMade: () => retryNow('no-space'),
  });
  let scheduled = false;
  let serverUp = false;
  let told = false;
  let changes = 0;

  function wake(name: string) {
    dirty.add(name);
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(settle);
  }

  const wakeAll = () => {
    for (const name of table.names()) wake(name);
  };

  /** What failed in these ways gets its chance at once: their cause is gone. */
  function retryNow(...classes: readonly FailureClass[]) {
    for (const entry of table.values()) {
      if (entry.failure === undefined || !classes.includes(entry.failure.class)) continue;
      entry.failure = { ...entry.failure, retryAtMs: clock.monotonic() };
      wake(entry.name);
    }
  }

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
        return begin(entry, 'download', digest, (signal) => steps.download(entry, step.model, signal));
      case 'load':
        return begin(entry, 'load', digest, (signal) => steps.load(entry, step.version, step.from, signal));
      case 'discard':
        return begin(entry, 'remove', digest, async () => {
          await disk.remove(entry.name, 'ready');
          entry.ready = undefined;
        });
      case 'unload':
        return begin(entry, 'unload', undefined, (signal) => steps.unload(entry, signal));
      case 'remove':
        return begin(entry, 'remove', undefined, () => steps.remove(entry));
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
        if (kind === 'unload') await steps.drained(entry, signal);
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
    await clock.sleep(againMs, stop).catch(() => {}); // ends early when stopping
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
        const entry = table.of(name);
        entry.placed = placed;
        entry.ready = ready;
        entry.own.uncertain = uncertain;
        wake(name);
      }
    },

    /** What this replica should hold. `changed` names the models to look at; without it, all are compared. */
    want(models: ReadonlyMap<string, WantedModel>, changed?: Iterable<string>) {
      const names = changed ?? new Set([...models.keys(), ...table.names()]);
      if (!told) wakeAll();
      told = true;
      for (const name of names) {
        const wanted = models.get(name);
        if (wanted === undefined && !table.has(name)) continue;
        const entry = table.of(name);
        if (entry.wanted?.digest === wanted?.digest) continue;
        entry.wanted = wanted;
        entry.failure = undefined;
        entry.own.onIdle?.();
        wake(name);
      }
    },

    /** Everything that failed for its credentials is tried at once: they changed. */
    credentialsChanged: () => retryNow('denied', 'not-found'),

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
    /** By the name in `[start, end)`. */
    find: (bytes: Uint8Array, start: number, end: number): Readonly<Entry> | undefined => table.find(bytes, start, end),
    entries: (): Iterable<Readonly<Entry>> => table.values(),
    takeTraffic: () => table.takeTraffic(),

    /** Resolves when nothing runs any more; after `stop`. */
    async close() {
      for (const entry of table.values()) entry.own.cancelTimer?.();
      await Promise.allSettled(working);
    },
  };
}

const poolsFor = ({ downloadsMax, loadsMax, unloadsMax }: Limits) => ({
  download: bounded(downloadsMax),
  load: bounded(loadsMax),
  unload: bounded(unloadsMax),
  remove: bounded(unloadsMax),
});
