import { boxSize, giveBox, takeBox } from '../boxes.ts';

/** Parts up to this size come out of Node.js's own pool; larger ones are copied into boxes. */
const smallMax = 4 * 1024;

/** Bytes that are kept for later, in order. */
export class Held {
  readonly parts: Buffer[] = [];
  #boxes: Buffer[] | undefined;
  #at = boxSize;

  add(bytes: Buffer, start: number, end: number): void {
    if (end - start <= smallMax && this.#at === boxSize) {
      this.parts.push(Buffer.from(bytes.subarray(start, end)));
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
      this.parts.push(box.subarray(this.#at, this.#at + size));
      this.#at += size;
      at += size;
    }
  }

  /** Nobody refers to any part any more. */
  clear(): void {
    if (this.parts.length > 0) this.parts.length = 0;
    if (this.#boxes === undefined) return;
    for (const box of this.#boxes) giveBox(box);
    this.#boxes = undefined;
    this.#at = boxSize;
  }
}
