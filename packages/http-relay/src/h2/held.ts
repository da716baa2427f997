import { boxSize, giveBox, takeBox } from '../boxes.ts';

/** Parts up to this size come out of Node.js's own pool; larger ones are copied into boxes. */
const smallMax = 4 * 1024;

const none: Buffer[] = [];

/** Bytes that are kept for later, in order. */
export class Held {
  parts = none;
  #boxes: Buffer[] | undefined;
  #at = boxSize;

  add(bytes: Buffer, start: number, end: number): void {
    if (end - start <= smallMax && this.#at === boxSize) {
      const copy = Buffer.allocUnsafe(end - start);
      bytes.copy(copy, 0, start, end);
      this.#push(copy);
      return;
    }
    for (let at = start; at < end; ) {
      if (this.#at === boxSize) {
        this.#boxes ??= [];
        this.#boxes.push(takeBox());
        this.#at = 0;
      }
      const box = this.#boxes!.at(-1)!;
      const size = Math.min(end - at, boxSize - this.#at);
      bytes.copy(box, this.#at, at, at + size);
      this.#push(box.subarray(this.#at, this.#at + size));
      this.#at += size;
      at += size;
    }
  }

  #push(part: Buffer): void {
    // Mostly it is the only one, and an array that grows has room for many.
    if (this.parts.length === 0) this.parts = [part];
    else this.parts.push(part);
  }

  /** Nobody refers to any part any more. */
  clear(): void {
    this.parts = none;
    if (this.#boxes === undefined) return;
    for (const box of this.#boxes) giveBox(box);
    this.#boxes = undefined;
    this.#at = boxSize;
  }
}
