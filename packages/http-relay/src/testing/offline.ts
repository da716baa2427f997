import { EventEmitter } from 'node:events';
import { systemClock } from '@roundhouse/base';
import { Client } from '../client.ts';
import type { ClientSocket } from '../client-socket.ts';
import type { Core } from '../core.ts';
import { Deadlines } from '../deadlines.ts';
import type { Picker } from '../exchange.ts';
import { DownstreamSession } from '../h2/downstream-session.ts';
import { Turn } from '../h2/outbox.ts';
import { GrpcHead } from '../h2/pick-head.ts';
import { Pool } from '../h2/pool.ts';
import { Hangups } from '../hangups.ts';
import { defaultLimits } from '../limits.ts';
import { RequestHead } from '../request-head.ts';
import { RequestIds } from '../request-ids.ts';
import { ResponseHead } from '../response-head.ts';
import { Splice } from '../splice.ts';
import { type Receiver, Upstream, type UpstreamConnection } from '../upstream.ts';

/** A connection without a system behind it: what is written is kept, what comes is said by `emit('data', …)`. */
export class OfflineSocket extends EventEmitter implements ClientSocket {
  readonly remoteAddress = '127.0.0.1';
  readonly writableLength = 0;
  readonly writable = true;
  readonly written: Buffer[] = [];
  ended: 'open' | 'end' | 'destroy' | 'reset' = 'open';

  write(part: Uint8Array | string): boolean {
    this.written.push(typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part));
    return true;
  }
  cork() {}
  uncork() {}
  pause() {}
  resume() {}
  end() {
    this.#close('end');
  }
  destroy() {
    this.#close('destroy');
  }
  destroySoon() {
    this.#close('end');
  }
  resetAndDestroy() {
    this.#close('reset');
  }
  #close(how: 'end' | 'destroy' | 'reset') {
    if (this.ended === 'open') this.ended = how;
  }
}

/** One request as it went on. */
export type PassedOn = {
  /** Method and path as the picker saw them. */
  readonly line: string;
  readonly bytes: Buffer;
  /** We take it for whole: another may follow on its connection. */
  readonly whole: boolean;
};

const okay = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');

class OfflineUpstream extends Upstream {
  readonly connections: { readonly socket: OfflineSocket; receiver: Receiver | undefined; whole: boolean }[] = [];

  override attach(receiver: Receiver): UpstreamConnection {
    const socket = new OfflineSocket();
    const connection = { socket, receiver, whole: false, connected: true, reused: false, retained: false };
    this.connections.push(connection);
    this.inFlight++;
    return connection as unknown as UpstreamConnection;
  }

  override detach(connection: UpstreamConnection, reusable: boolean): void {
    const own = connection as unknown as OfflineUpstream['connections'][number];
    own.receiver = undefined;
    own.whole = reusable;
    this.inFlight--;
  }
}

export function offlineCore(picker: Picker): Core {
  const limits = defaultLimits;
  const deadlines = new Deadlines(systemClock);
  return {
    ...{ clock: systemClock, limits, deadlines, picker, edge: false },
    ...{ added: Buffer.from('via: 1.1 test\r\n'), addedToUntyped: Buffer.from('via: 1.1 test\r\n') },
    ...{ traces: undefined, head: new RequestHead(), grpcHead: new GrpcHead(), responseHead: new ResponseHead() },
    ...{
      hangups: new Hangups(systemClock),
      headOwner: undefined,
      name: 'test',
      clients: new Set(),
      closing: false,
      parked: 0,
    },
    ...{ turn: new Turn(), splice: new Splice(() => false), underWay: 0 },
    requestIds: new RequestIds(() => 0),
    openHttp2: () => {},
  };
}

function offlineUpstream(core: Core): OfflineUpstream {
  const { deadlines, limits } = core;
  const address = { host: '127.0.0.1', port: 1 };
  return new OfflineUpstream(core, address, new Pool({ deadlines, limits, turn: new Turn() }, address, () => {}));
}

/**
 * What a relay makes of one client connection on which `parts` come. The upstream answers each request with `answer`, and reads
 * it first. No sockets, no time: the same bytes give the same result.
 */
export function passOn(parts: readonly Buffer[], answer: Buffer = okay) {
  const lines: string[] = [];
  const core = offlineCore({
    pick(head) {
      const { start, methodEnd, pathStart, targetEnd } = core.head;
      const at = (from: number, to: number) => head.bytes.toString('latin1', from, to);
      lines.push(`${at(start, methodEnd)} ${at(pathStart, targetEnd)}`);
      return upstream;
    },
  });
  const upstream = offlineUpstream(core);
  const socket = new OfflineSocket();
  new Client(core, socket);
  let answered = 0;
  const answerAll = () => {
    for (let sent = upstream.connections[answered]; sent !== undefined; sent = upstream.connections[++answered]) {
      const bytes = Buffer.from(answer);
      sent.receiver?.onAnswer(sent as unknown as UpstreamConnection, bytes, bytes.length);
      sent.receiver?.onUpstreamClosed(false);
    }
  };
  // All of it first, as clients that send ahead do; a later request goes on once the one before is answered.
  for (const part of parts) if (socket.ended === 'open') socket.emit('data', Buffer.from(part));
  answerAll();
  socket.emit('close');
  const passed = upstream.connections.map(
    ({ socket: { written }, whole }, index): PassedOn => ({
      line: lines[index]!,
      bytes: Buffer.concat(written),
      whole,
    }),
  );
  return { passed, answer: Buffer.concat(socket.written), ended: socket.ended, left: leftOf(core, upstream) };
}

/** What HTTP/2 frames of a client do to a relay whose upstream says nothing; afterwards, its connection is gone. */
export async function takeFrames(parts: readonly Buffer[]) {
  const core = offlineCore({ pick: () => 'parked' });
  const { deadlines, limits } = core;
  const socket = new OfflineSocket();
  const turn = new Turn();
  const session = new DownstreamSession({ deadlines, limits, turn }, core, socket as never, Buffer.alloc(0));
  for (const part of parts) if (socket.ended === 'open') socket.emit('data', Buffer.from(part));
  const { parked } = core;
  const streams = session.streams.size;
  await new Promise(setImmediate); // what is written in one turn goes out at its end
  socket.emit('close');
  return { parked, streams, answer: Buffer.concat(socket.written), ended: socket.ended, left: leftOf(core, undefined) };
}

/** What a connection that is gone has left behind: nothing, or it leaks. */
function leftOf({ parked, clients }: Core, upstream: Upstream | undefined): number {
  return parked + clients.size + (upstream?.inFlight ?? 0);
}
