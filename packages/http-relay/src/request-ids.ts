import type { Random } from '@roundhouse/base';
import type { OwnField } from './own-field.ts';

const name = 'x-request-id';
const separator = ': ';
const digits = Buffer.from('0123456789abcdefghijklmnopqrstuv');
/** Of the number, base 32: the low ones hold 2^30 requests, the high ones count those. */
const lowPlaces = 6;
const places = lowPlaces + 3;
const lowMax = 2 ** 30;

/**
 * Names for requests that bring none: a random part that belongs to this process, and a number. They are numbers until somebody
 * wants to read one, so that a request costs no string.
 */
export class RequestIds {
  readonly #line: Buffer;
  readonly #field: OwnField;
  readonly #prefix: string;
  #last = 0;
  /** What stands in the high places. */
  #high = 0;

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
    return this.#prefix + id.toString(32).padStart(places, '0');
  }

  /** Its field line; valid until the next call. */
  line(id: number): Buffer {
    const end = this.#line.length - 2;
    const high = id < lowMax ? 0 : Math.floor(id / lowMax);
    this.#write(id - high * lowMax, end - lowPlaces, end);
    if (high !== this.#high) this.#write(high, end - places, end - lowPlaces);
    this.#high = high;
    return this.#line;
  }

  #write(value: number, start: number, end: number): void {
    for (let at = end - 1, left = value; at >= start; at--, left >>>= 5) this.#line[at] = digits[left & 31]!;
  }
}
