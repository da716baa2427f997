import { readFile } from 'node:fs/promises';
import type { Clock } from '@roundhouse/base';

/** A connection that is not read for now. */
export type Watched = {
  readonly localPort: number | undefined;
  readonly remotePort: number | undefined;
  /** The other side has closed it. */
  onHangup(): void;
};

/** A connection's ports, and the look before which it came. */
type Sight = { readonly ports: string; readonly since: number };

const lookMs = 200;
/** TCP_ESTABLISHED, of Linux' include/net/tcp_states.h. */
const established = '01';

/**
 * Notices that clients have gone whose connections are not read: the end of a connection lies behind what nobody takes, so neither
 * libuv nor Node.js tells of it, and what the request holds would be held until its time is up. The kernel's table of connections
 * does tell. Where there is none, as outside Linux, the bounds of waiting are all there is.
 */
export class Hangups {
  readonly #clock: Clock;
  readonly #watched = new Map<Watched, Sight>();
  #looks = 0;
  #isLooking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(connection: Watched): void {
    const { localPort, remotePort } = connection; // a connection that was reset does not know any more
    if (localPort === undefined || remotePort === undefined || this.#watched.has(connection)) return;
    this.#watched.set(connection, { ports: pairOf(localPort, remotePort), since: this.#looks });
    this.#lookLater();
  }

  forget(connection: Watched): void {
    this.#watched.delete(connection);
  }

  #lookLater(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(lookMs, () => void this.#look());
  }

  async #look() {
    const look = this.#looks++;
    // Most are read again within a moment: the table is asked for those that have stood still since the last look.
    const still = [...this.#watched].filter(([, { since }]) => since < look);
    const open = still.length > 0 ? await openConnections() : undefined;
    this.#isLooking = false;
    for (const [connection, { ports }] of open === undefined ? [] : still) {
      if (!open?.has(ports) && this.#watched.delete(connection)) connection.onHangup();
    }
    if (this.#watched.size > 0) this.#lookLater();
  }
}

const pairOf = (local: number, remote: number) => `${hex(local)} ${hex(remote)}`;
const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, '0');

/**
 * The ports, local and remote, of all connections that neither side has closed; undefined where the kernel does not say. Addresses
 * are left out: two with the same ports count as open as long as one is.
 */
async function openConnections(): Promise<ReadonlySet<string> | undefined> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'latin1').catch(() => undefined)),
  );
  if (tables[0] === undefined) return undefined;
  const open = new Set<string>();
  for (const [, local = '', remote = '', state] of tables
    .join('')
    .matchAll(/:([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) /g)) {
    if (state === established) open.add(`${local} ${remote}`);
  }
  return open;
}
