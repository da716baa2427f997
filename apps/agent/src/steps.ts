import { backoffMs, type Clock, CodedError, messageOf, type Random, within } from '@roundhouse/base';
import type { ModelServer } from '@roundhouse/dialects';
import type { ModelDisk, Staged } from './disk.ts';
import type { Entry } from './entry.ts';
import type { Life } from './life.ts';
import { versionOf, type WantedModel } from './model.ts';

export type FetchModel = (
  model: WantedModel,
  /** Where to, and who is asked before more of the disk is taken. */
  place: Pick<Staged, 'directory' | 'reserve'>,
  onProgress: (bytesDone: number, bytesTotal: number) => void,
  signal: AbortSignal,
) => Promise<{ readonly files: number; readonly bytes: number }>;

export type StepDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: ModelDisk;
  readonly server: Pick<ModelServer, 'load' | 'unload'>;
  readonly fetchModel: FetchModel;
  readonly life: Life;
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

type Hooks = {
  /** The server answered a load or unload of this model. */
  readonly touch: (entry: Entry) => void;
  /** There is more room on disk than before. */
  readonly roomMade: () => void;
};

/** Whether the load put its version in place, and what was there. */
type Placing = { readonly placedNow: boolean; readonly before: string | undefined };

/** How each step is done. Each throws what went wrong; what it says of the entry is true at every await. */
export function createSteps(
  { clock, random, disk, server, life, fetchModel }: StepDeps,
  limits: Limits,
  stop: AbortSignal,
  { touch, roomMade }: Hooks,
) {
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
    const staged = await disk.stage(name);
    let got: Awaited<ReturnType<FetchModel>>;
    try {
      got = await fetchModel(model, staged, progress, within(limits.downloadMs, signal));
      await staged.commit(model, version);
    } catch (error) {
      await staged.discard();
      throw error;
    }
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
      await loadFailed(entry, version, { placedNow: from === 'ready', before }, error);
      return;
    } finally {
      touch(entry);
    }
    entry.loaded = version;
    entry.own.uncertain = false;
    if (entry.wanted !== undefined && versionOf(entry.wanted) === version) entry.failure = undefined;
    life.loaded(name, clock.monotonic() - startedMs);
    await disk.settle(name);
  }

  /**
   * The server keeps the model it had; the disk must say the same, and the older version is what a restart loads. Without one
   * nothing stays in place: a server that loads all it finds would not come up again with a model that it cannot take.
   */
  async function loadFailed(entry: Entry, version: string, { placedNow, before }: Placing, error: unknown) {
    if (placedNow) {
      const restored = await disk.restore(entry.name);
      entry.placed = restored ? before : undefined;
      entry.ready = version;
      if (restored && entry.loaded !== undefined && !stop.aborted) life.restored(entry.name);
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
    touch(entry);
  }

  async function remove(entry: Entry) {
    await disk.remove(entry.name);
    entry.placed = entry.ready = undefined;
    life.removed(entry.name);
    roomMade();
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

  return { download, load, unload, remove, drained };
}
