/** HTTP/2 framing: RFC 9113 sections 4 and 6. */
export const frames = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const flags = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

/** RFC 9113 7: those that we send or look for. */
export const codes = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;

/** RFC 9113 3.4: what a client says first. */
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export const frameHeadSize = 9;
/** Payload of one frame, theirs and ours: the size that everybody must take, and we ask for no more. */
export const frameSizeMax = 16_384;

export type FrameReceiver = {
  /** The payload is `[start, end)`; its bytes are overwritten afterwards. False: nothing more is wanted from this connection. */
  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean;
  onFrameTooLarge(): void;
};

/**
 * Cuts what comes into frames. Of a frame that a read has cut in two the first part is copied, but for data: its parts are handed on as
 * frames of their own, of which the last has the flags.
 */
export class FrameReader {
  readonly #receiver: FrameReceiver;
  /** The beginning of a frame: first its head, then as large as the whole frame. */
  #partial: Buffer | undefined;
  #have = 0;
  /** Bytes to come of the data that was begun, its flags and its stream. */
  #rest = 0;
  #restFlags = 0;
  #restId = 0;

  constructor(receiver: FrameReceiver) {
    this.#receiver = receiver;
  }

  /** Reads `[start, end)`. Returns false once the receiver wants no more. */
  read(bytes: Buffer, start: number, end: number): boolean {
    let at = start;
    while (this.#partial !== undefined) {
      at = this.#complete(this.#partial, bytes, at, end);
      if (at < 0) return false;
      if (at === end && this.#partial !== undefined) return true;
    }
    if (this.#rest > 0 && at < end) {
      const part = Math.min(this.#rest, end - at);
      if (!this.#data(bytes, at, at + part)) return false;
      at += part;
    }
    while (end - at >= frameHeadSize) {
      const payload = at + frameHeadSize;
      const size = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      if (size > frameSizeMax) return this.#tooLarge();
      if (end - payload < size) {
        if (!this.#begin(bytes, at, size)) break;
        return end === payload || this.#data(bytes, payload, end);
      }
      if (!this.#deliver(bytes, at, payload + size)) return false;
      at = payload + size;
    }
    if (at < end) {
      this.#partial = Buffer.allocUnsafe(frameHeadSize);
      this.#have = 0;
      return this.read(bytes, at, end);
    }
    return true;
  }

  /** Adds to the partial frame. Returns where it stopped in `bytes`, or -1. */
  #complete(partial: Buffer, bytes: Buffer, at: number, end: number): number {
    const part = Math.min(partial.length - this.#have, end - at);
    bytes.copy(partial, this.#have, at, at + part);
    this.#have += part;
    if (this.#have < partial.length) return at + part;
    const whole = frameHeadSize + ((partial[0]! << 16) | (partial[1]! << 8) | partial[2]!);
    if (whole - frameHeadSize > frameSizeMax) {
      this.#tooLarge();
      return -1;
    }
    if (whole === partial.length) {
      this.#partial = undefined;
      return this.#deliver(partial, 0, whole) ? at + part : -1;
    }
    if (this.#begin(partial, 0, whole - frameHeadSize)) {
      this.#partial = undefined;
      return at + part;
    }
    this.#partial = Buffer.allocUnsafe(whole);
    partial.copy(this.#partial, 0);
    return at + part;
  }

  /** Whether the frame whose head is at `at` can be handed on in parts. Padding says at the front what is at the end. */
  #begin(bytes: Buffer, at: number, size: number): boolean {
    if (bytes[at + 3] !== frames.data || (bytes[at + 4]! & flags.padded) !== 0) return false;
    this.#rest = size;
    this.#restFlags = bytes[at + 4]!;
    this.#restId = idAt(bytes, at);
    return true;
  }

  #data(bytes: Buffer, at: number, end: number): boolean {
    this.#rest -= end - at;
    return this.#receiver.onFrame(frames.data, this.#rest === 0 ? this.#restFlags : 0, this.#restId, bytes, at, end);
  }

  #deliver(bytes: Buffer, at: number, end: number): boolean {
    return this.#receiver.onFrame(bytes[at + 3]!, bytes[at + 4]!, idAt(bytes, at), bytes, at + frameHeadSize, end);
  }

  #tooLarge(): false {
    this.#receiver.onFrameTooLarge();
    return false;
  }
}

const idAt = (bytes: Buffer, at: number) => readUint32(bytes, at + 5) & 0x7fffffff;

/** Writes a frame's head at `at`. */
export function writeFrameHead(bytes: Buffer, at: number, size: number, type: number, flag: number, id: number): void {
  bytes[at] = size >>> 16;
  bytes[at + 1] = size >>> 8;
  bytes[at + 2] = size;
  bytes[at + 3] = type;
  bytes[at + 4] = flag;
  writeUint32(bytes, at + 5, id);
}

export function writeUint32(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
