import { connect } from 'node:net';
import { type Clock, messageOf } from '@roundhouse/base';
import type { ModelServer, ServerAddress } from '@roundhouse/dialects';
import type { Log } from '@roundhouse/telemetry';
import type { Keeper } from './keeper.ts';

/** A refused connection costs a fifth of a millisecond: often enough that a restarted server is refilled at once. */
const downMs = 50;
const healthMs = 1_000;
/** The server's own list is compared this often even when nothing seems to have happened. */
const listMs = 5_000;
/** Of a server's time for lists: MLServer reads every model's settings for each, and answers nobody else meanwhile. */
const listShareMax = 0.01;
/** A server that answers connections and not its health check may be busy: only after so many is it taken for down. */
const unhealthyMax = 3;
/** Doubts come in crowds: one look answers those of this time. */
const crowdMs = 10;

export type WatchDeps = {
  readonly clock: Clock;
  readonly server: ModelServer;
  readonly address: ServerAddress;
  readonly keeper: Pick<Keeper, 'observed' | 'down' | 'changes' | 'entries'>;
  readonly log: Log;
  /** Called when the server's health has changed, or was doubted and looked at. */
  readonly onChecked: (up: boolean) => void;
};

/**
 * Tells the keeper when the server is up and what it has. A connection that carries nothing stands as a sentinel: it breaks
 * when the server's process ends, even when a new one answers before the next health check.
 */
export function createServerWatch({ clock, server, address, keeper, log, onChecked }: WatchDeps) {
  let wakeUp: (() => void) | undefined;
  let doubted = false;
  let up = false;

  /** Ends early when somebody doubts. */
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      if (doubted) return resolve();
      const cancel = clock.after(ms, done);
      function done() {
        cancel();
        wakeUp = undefined;
        resolve();
      }
      wakeUp = done;
    });

  const doubt = () => {
    doubted = true;
    wakeUp?.();
  };

  async function isLive(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; attempt <= unhealthyMax; attempt++) {
      if (await server.isLive(signal)) return true;
      if (attempt < unhealthyMax) await clock.sleep(downMs, signal);
    }
    return false;
  }

  /** Resolves to how long the server took for its list, ms. */
  async function observe(signal: AbortSignal): Promise<number> {
    const beganMs = clock.monotonic();
    const changesThen = keeper.changes;
    const names = server.dialect.listing === undefined ? Array.from(keeper.entries(), ({ name }) => name) : [];
    keeper.observed(await server.list(names, signal), changesThen);
    if (!up) log.info({}, 'the model server is up');
    up = true;
    onChecked(true);
    return clock.monotonic() - beganMs;
  }

  /** From the first sign of life to the last. */
  async function accompany(signal: AbortSignal) {
    let sentinel = closedSentinel;
    let listAtMs = Number.NEGATIVE_INFINITY;
    try {
      for (;;) {
        let look = doubted || clock.monotonic() >= listAtMs;
        doubted = false;
        if (!sentinel.open) {
          sentinel = await openSentinel(address, doubt);
          look = true; // it ended, or closed what stood idle for long: who answers now may be another
        }
        if (!sentinel.open || !(await isLive(signal))) return;
        if (look) {
          const tookMs = await observe(signal);
          listAtMs = clock.monotonic() + Math.max(listMs, tookMs / listShareMax);
        }
        await pause(healthMs);
        signal.throwIfAborted();
        if (doubted && sentinel.open) await clock.sleep(crowdMs, signal);
      }
    } finally {
      sentinel.close();
    }
  }

  return {
    /** Something went wrong with the server: look at it now. */
    doubt,

    async run(signal: AbortSignal) {
      signal.addEventListener('abort', doubt, { once: true });
      while (!signal.aborted) {
        try {
          await accompany(signal);
        } catch (error) {
          if (!signal.aborted) log.warn({ reason: messageOf(error) }, 'the model server does not say what it has');
        }
        if (signal.aborted) return;
        if (up) log.warn({}, 'the model server is away');
        up = false;
        keeper.down();
        onChecked(false);
        doubted = false;
        await pause(downMs);
      }
    },
  };
}

type Sentinel = { readonly open: boolean; close(): void };

const closedSentinel: Sentinel = { open: false, close: () => {} };

/** Resolves when connected, or when that failed. */
function openSentinel({ port, socketPath }: ServerAddress, onClose: () => void): Promise<Sentinel> {
  return new Promise((resolve) => {
    const socket = connect(socketPath === undefined ? { host: '127.0.0.1', port } : { path: socketPath });
    let open = false;
    const sentinel = {
      get open() {
        return open;
      },
      close() {
        open = false;
        socket.destroy();
      },
    };
    socket.unref();
    socket.resume();
    socket.on('connect', () => {
      open = true;
      resolve(sentinel);
    });
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      const was = open;
      open = false;
      resolve(sentinel);
      if (was) onClose();
    });
  });
}
