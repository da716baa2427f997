import type { Clock } from '@roundhouse/base';
import type { Upstream } from '@roundhouse/http-relay';

/** Where a server that takes requests on a unix socket puts it, in the directory of its models. */
export const socketName = '.server.sock';
/** Of `sun_path` in unix(7), with the zero at its end. */
const socketPathMax = 107;
/** The socket may come a moment after the port; later than this it does not come. */
const looksMs = [50, 250, 1_000, 5_000] as const;

export const isSocketPath = (path: string): boolean => Buffer.byteLength(path) <= socketPathMax;

/** The way to the model server's HTTP: by its unix socket, which saves a quarter of the cost, while that takes connections. */
export type Way = {
  readonly upstream: Upstream;
  readonly isLocal: boolean;
  /** The server was looked at. */
  serverChanged(): void;
  /** `from` took no connection. True when there is another way, so that nobody need wait. */
  failed(from: Upstream): boolean;
};

export function createWay(clock: Clock, byPort: Upstream, bySocket: Upstream | undefined): Way {
  let isOpen = false;
  let cancel: (() => void) | undefined;

  const look = (socket: Upstream, attempt: number) => {
    cancel = undefined;
    socket.probe((connected) => {
      isOpen = connected;
      const nextMs = looksMs[attempt];
      if (!connected && nextMs !== undefined) cancel = clock.after(nextMs, () => look(socket, attempt + 1));
    });
  };

  return {
    get upstream() {
      return isOpen ? bySocket! : byPort;
    },
    get isLocal() {
      return isOpen;
    },
    serverChanged() {
      if (bySocket === undefined || isOpen) return;
      cancel?.();
      look(bySocket, 0);
    },
    failed(from) {
      if (from !== bySocket) return false;
      isOpen = false;
      return true;
    },
  };
}
