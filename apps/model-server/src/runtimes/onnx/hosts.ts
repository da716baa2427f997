import type { Tensor } from '@roundhouse/v2-protocol';
import type { Thread } from '../../threads/thread.ts';
import type { OnnxSession } from './session.ts';

/** A session on another thread. `run` tells the milliseconds that the prediction itself took. */
export type HostedSession = Pick<OnnxSession, 'inputs' | 'outputs' | 'close'> & {
  run(
    inputs: readonly Tensor[],
    wanted: readonly string[],
  ): Promise<{ readonly outputs: readonly Tensor[]; readonly ms: number }>;
};

/** Threads that hold sessions: a session works only on the thread that opened it. */
export type Hosts = {
  /** `alone`: on a thread of its own, so that neither loading it nor its predictions hold up other models. */
  open(path: string, alone: boolean): Promise<HostedSession>;
  close(): Promise<void>;
};

/** Threads of single models, some 10 MB each beside a model that is larger; more than that share like the others. */
const aloneMax = 32;

type Host = { readonly thread: Thread; readonly isAlone: boolean; sessions: number };

/** Shared threads start when first needed, up to `sharedMax`; each new model goes to the one with the fewest. */
export function createHosts(start: () => Thread, sharedMax: number): Hosts {
  const hosts = new Set<Host>();
  let lastId = 0;

  const hostFor = (alone: boolean): Host => {
    for (const host of hosts) if (host.thread.hasEnded) hosts.delete(host);
    const shared = [...hosts].filter(({ isAlone }) => !isAlone);
    const isAlone = alone && hosts.size - shared.length < aloneMax;
    const least = shared.reduce<Host | undefined>((a, b) => (a && a.sessions <= b.sessions ? a : b), undefined);
    if (!isAlone && least !== undefined && (least.sessions === 0 || shared.length >= sharedMax)) return least;
    const host: Host = { thread: start(), isAlone, sessions: 0 };
    hosts.add(host);
    return host;
  };

  const leave = async (host: Host) => {
    host.sessions--;
    if (!host.isAlone) return;
    hosts.delete(host);
    await host.thread.close();
  };

  const openOn = async (path: string, alone: boolean) => {
    const host = hostFor(alone);
    const id = ++lastId;
    host.sessions++;
    try {
      const { inputs, outputs } = await host.thread.ask('openSession', id, path);
      return { host, id, inputs, outputs };
    } catch (error) {
      await leave(host);
      throw error;
    }
  };

  return {
    async open(path, alone) {
      const first = await openOn(path, alone);
      let held = first;
      let reopening: Promise<void> | undefined;
      /** A thread that ended took its sessions along: they are opened again when they are asked for. */
      const current = async () => {
        if (held.host.thread.hasEnded) {
          reopening ??= openOn(path, alone)
            .then((opened) => {
              held = opened;
            })
            .finally(() => {
              reopening = undefined;
            });
          await reopening;
        }
        return held;
      };
      return {
        inputs: first.inputs,
        outputs: first.outputs,
        async run(inputs, wanted) {
          const { host, id } = await current();
          return host.thread.ask('runSession', id, inputs, wanted);
        },
        async close() {
          await reopening?.catch(() => {});
          const { host, id } = held;
          if (!host.thread.hasEnded) await host.thread.ask('closeSession', id);
          await leave(host);
        },
      };
    },
    async close() {
      await Promise.all([...hosts].map(({ thread }) => thread.close()));
    },
  };
}
