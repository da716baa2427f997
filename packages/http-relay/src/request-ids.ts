import type { Random } from '@roundhouse/base';
import type { OwnField } from './own-field.ts';

const name = 'x-request-id';
const separator = ': ';
const digits = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz');
/** Of the number, base 36: 36^9 requests are more than a process answers in a thousand years. */
const places = 9;

/**
 * Names for requests that bring none: a random part that belongs to this process, and a number. They are numbers until somebody
 * wants to read one, so that a request costs no string.
 */
export class RequestIds {
  readonly #line: Buffer;
  readonly #field: OwnField;
  readonly #prefix: string;
  #last = 0;

  constructor(random: Random) {
    this.#prefix = `${Math.floor(random() * 2 ** 48).toString(36)}-`;
    this.#line = Buffer.from(`${name}${separator}${this.#prefix}${'0'.repeat(places)}\r\n`);
    const start = name.length + separator.length;
    this.#field = { name, bytes: this.#line, start, end: this.#line.length - 2 };
  }

  /** Its field; valid until the next call. */
  field(id: number): OwnField {
    this.line(id);
    return this.#field;
  }

  /** A new one, as a number above 0. */
  next(): number {
    return ++this.#last;
  }

  text(id: number): string {
    return this.#prefix + id.toString(36).padStart(places, '0');
  }

  /** Its field line; valid until the next call. */
  line(id: number): Buffer {
    let left = id;
    for (let at = this.#line.length - 3, n = 0; n < places; n++) {
      const rest = Math.floor(left / 36);
      this.#line[at--] = digits[left - rest * 36]!;
      left = rest;
    }
    return this.#line;
  }
}
