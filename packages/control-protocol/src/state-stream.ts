/**
 * State over a stream, in either direction of both streams: a snapshot, then deltas, each acknowledged. The sender keeps no
 * queue of changes: while the peer is slow, changes pile up in the state itself, and the next delta says only how it
 * ended. So a slow peer costs no memory, and catches up in one step.
 */

/** Where a message stands in the sequence (`Revision` on the wire). */
export type Position = {
  readonly baseRevision: bigint;
  readonly revision: bigint;
  readonly snapshot: boolean;
  readonly more: boolean;
};

/**
 * Batches that may be unacknowledged. Enough to keep a link of 100 ms busy; a peer that stops acknowledging gets one
 * coalesced delta afterwards, whatever happened in between.
 */
const unacknowledgedMax = 32;

/** Chunks of one snapshot: 512 half-MiB chunks are some 250,000 models, and no more than a process should be made to hold. */
const snapshotChunksMax = 512;

export type StateSender = {
  /** Sends what there is to send and the peer has room for. Call it after a change, and when the stream has drained. */
  pump(): void;
  /** Starts again with a snapshot. */
  restart(): void;
  /** To be called when the stream has room again. */
  drained(): void;
  acknowledge(revision: bigint): void;
  /** The mark (see `createStateSender`) up to which the peer has acknowledged; undefined before the first one. */
  readonly acknowledgedMark: number | undefined;
  readonly acknowledgedRevision: bigint;
};

export type StateSource<Part> = {
  /** Puts a message on the stream; false when the stream has no room for another one. */
  write(position: Position, part: Part): boolean;
  /** All of the state, in chunks (at least one), taking note that nothing is pending any more. */
  snapshot(): readonly Part[];
  /** What is pending, in chunks; none when nothing is. */
  delta(): readonly Part[];
  /** A number that grows with the state, read when a batch is taken. */
  mark?(): number;
};

export function createStateSender<Part>({ write, snapshot, delta, mark = () => 0 }: StateSource<Part>): StateSender {
  let revision = 0n;
  let snapshotDue = true;
  let room = true;
  let queue: { readonly position: Position; readonly part: Part }[] = [];
  let unacknowledged: { readonly revision: bigint; readonly mark: number }[] = [];
  let acknowledgedMark: number | undefined;
  let acknowledgedRevision = 0n;

  const take = (): boolean => {
    if (unacknowledged.length >= unacknowledgedMax) return false;
    const batchMark = mark();
    const parts = snapshotDue ? snapshot() : delta();
    if (parts.length === 0) return false;
    if (snapshotDue) revision++;
    queue = parts.map((part, index) => ({
      position: snapshotDue
        ? { baseRevision: BigInt(index), revision, snapshot: true, more: index < parts.length - 1 }
        : { baseRevision: revision, revision: ++revision, snapshot: false, more: false },
      part,
    }));
    snapshotDue = false;
    unacknowledged.push({ revision, mark: batchMark });
    return true;
  };

  const pump = () => {
    while (room && (queue.length > 0 || take())) {
      const next = queue.shift();
      if (next !== undefined) room = write(next.position, next.part);
    }
  };

  return {
    pump,
    restart() {
      snapshotDue = true;
      queue = [];
      unacknowledged = [];
      pump();
    },
    drained() {
      room = true;
      pump();
    },
    acknowledge(acknowledged) {
      while (unacknowledged[0] !== undefined && unacknowledged[0].revision <= acknowledged) {
        acknowledgedMark = unacknowledged[0].mark;
        acknowledgedRevision = unacknowledged[0].revision;
        unacknowledged.shift();
      }
      pump();
    },
    get acknowledgedMark() {
      return acknowledgedMark;
    },
    get acknowledgedRevision() {
      return acknowledgedRevision;
    },
  };
}

export type StateReceiver<Part> = { receive(position: Position | undefined, part: Part): void };

export type StateSink<Part> = {
  /** A whole snapshot (all its chunks), or one delta. */
  apply(parts: readonly Part[], snapshot: boolean): void;
  acknowledge(revision: bigint): void;
  resync(reason: string): void;
};

export function createStateReceiver<Part>({ apply, acknowledge, resync }: StateSink<Part>): StateReceiver<Part> {
  let revision: bigint | undefined; // undefined until a snapshot is complete, and again after a gap
  let asked = false;
  /** Where the last change led: those on their way when we asked follow it without a gap. */
  let lastSeen: bigint | undefined;
  let chunks: Part[] = [];
  let chunksRevision: bigint | undefined;

  const ask = (reason: string) => {
    revision = undefined;
    chunks = [];
    chunksRevision = undefined;
    if (!asked) resync(reason);
    asked = true; // once: what is on its way must not trigger it again
  };

  const settle = (reached: bigint, parts: readonly Part[], snapshot: boolean) => {
    revision = reached;
    apply(parts, snapshot);
    acknowledge(reached);
  };

  return {
    receive(position, part) {
      if (position === undefined) return ask('a state message without a revision');
      if (!position.snapshot) {
        const follows = position.baseRevision === lastSeen;
        lastSeen = position.revision;
        if (position.baseRevision !== revision) {
          if (!follows) asked = false; // another gap: the snapshot that we asked for may have been in it
          return ask(`expected a change of revision ${revision ?? 'none'}, got one of ${position.baseRevision}`);
        }
        return settle(position.revision, [part], false);
      }
      asked = false;
      lastSeen = position.revision;
      if (position.revision !== chunksRevision) chunks = [];
      if (position.baseRevision !== BigInt(chunks.length)) return ask('a chunk of the snapshot is missing');
      chunksRevision = position.revision;
      chunks.push(part);
      if (chunks.length > snapshotChunksMax) throw new Error(`a snapshot of more than ${snapshotChunksMax} chunks`);
      if (position.more) return;
      const whole = chunks;
      chunks = [];
      chunksRevision = undefined;
      settle(position.revision, whole, true);
    },
  };
}
