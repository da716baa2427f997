/** Follows gRPC's message framing through the bytes of one stream: a byte that tells of compression, and a length. */
export class MessageSizes {
  /** Of the prefix of the next message, bytes that are there. */
  #prefix = 0;
  #size = 0;
  #left = 0;

  /** The largest message that begins, or is announced, in `[start, end)`. */
  largest(bytes: Uint8Array, start: number, end: number): number {
    let largest = 0;
    for (let at = start; at < end; ) {
      if (this.#left > 0) {
        const part = Math.min(this.#left, end - at);
        this.#left -= part;
        at += part;
        continue;
      }
      if (this.#prefix > 0) this.#size = this.#size * 256 + bytes[at]!;
      at++;
      if (++this.#prefix < 5) continue;
      largest = Math.max(largest, this.#size);
      this.#left = this.#size;
      this.#prefix = this.#size = 0;
    }
    return largest;
  }
}
