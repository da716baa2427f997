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
/** A server that answers connections and not its health check may be busy: only after so many is it taken for down. */
const unhealthyMax = 3;

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

  async function isUp(sentinel: Sentinel, signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; attempt <= unhealthyMax; attempt++) {
      if (!sentinel.open) return false;
      if (await server.isLive(signal)) return sentinel.open;
      if (attempt < unhealthyMax) await clock.sleep(downMs, signal);
    }
    return false;
  }

  async function observe(signal: AbortSignal) {
    const changesThen = keeper.changes;
    const names = server.dialect.listing === undefined ? Array.from(keeper.entries(), ({ name }) => name) : [];
    keeper.observed(await server.list(names, signal), changesThen);
    onChecked(true);
  }

  /** From the first sign of life to the last. Returns when the server is down or was replaced. */
  async function accompany(sentinel: Sentinel, signal: AbortSignal) {
    if (!(await isUp(sentinel, signal))) return;
    await observe(signal);
    if (!up) log.info({}, 'the model server is up');
    up = true;
    let listedAtMs = clock.monotonic();
    while (await isUp(sentinel, signal)) {
      if (doubted || clock.monotonic() - listedAtMs >= listMs) {
        doubted = false;
        await observe(signal);
        listedAtMs = clock.monotonic();
      }
      await pause(healthMs);
      if (doubted) await clock.sleep(downMs / 5, signal); // doubts come in crowds
    }
  }

  return {
    doubt,

    async run(signal: AbortSignal) {
      signal.addEventListener('abort', doubt, { once: true });
      while (!signal.aborted) {
        doubted = false;
        const sentinel = await openSentinel(address, doubt);
        try {
          await accompany(sentinel, signal);
        } catch (error) {
          if (!signal.aborted) log.warn({ reason: messageOf(error) }, 'the model server does not say what it has');
        }
        sentinel.close();
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
