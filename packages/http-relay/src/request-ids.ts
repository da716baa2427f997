import type { Random } from '@roundhouse/base';
import { type OwnField, ownField } from './own-field.ts';

const name = 'x-request-id';
const digits = Buffer.from('0123456789abcdefghijklmnopqrstuv');
/** Of the number, base 32: the low ones hold 2^30 requests, the high ones count those. */
const lowPlaces = 6;
const places = lowPlaces + 3;
const lowEnd = 2 ** 30;

/**
 * Names for requests that bring none: a random part that belongs to this process, and a number. They are numbers until somebody
 * wants to read one, so that a request costs no string.
 */
export class RequestIds {
  readonly #line: Buffer;
  readonly #field: Buffer;
  readonly #prefix: string;
  #last = 0;

  constructor(random: Random) {
    this.#prefix = `${Math.floor(random() * 2 ** 48).toString(36)}-`;
    const blank = this.#prefix + '0'.repeat(places);
    this.#line = Buffer.from(`${name}: ${blank}\r\n`);
    this.#field = ownField(name, blank);
  }

  /** Its field; valid until the next call. */
  field(id: number): OwnField {
    write(id, this.#field, this.#field.length);
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
    write(id, this.#line, this.#line.length - 2);
    return this.#line;
  }
}

/** Writes the digits of `id` up to `end`. */
function write(id: number, target: Buffer, end: number): void {
  const high = id < lowEnd ? 0 : Math.floor(id / lowEnd);
  writeDigits(id - high * lowEnd, target, end, lowPlaces);
  writeDigits(high, target, end - lowPlaces, places - lowPlaces);
}

function writeDigits(value: number, target: Buffer, end: number, count: number): void {
  for (let at = end - 1, left = value; at >= end - count; at--, left >>>= 5) target[at] = digits[left & 31]!;
}
