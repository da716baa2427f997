import type { Random } from '@roundhouse/base';
import { type OwnField, ownField } from './own-field.ts';

const name = 'traceparent';
const before = `${name}: `;
/** Places in the value: trace id (32 digits), parent id (16), flags (2). */
const traceAt = 3;
const parentAt = traceAt + 33;
const flagsAt = parentAt + 17;
const valueSize = flagsAt + 2;

const digits = Buffer.from('0123456789abcdef');

/**
 * W3C trace contexts for requests that bring none (https://www.w3.org/TR/trace-context/). Ids are a random part that belongs to
 * this process, and a number mixed so that neighbours look unlike: unique, and made without a string or a call for randomness.
 */
export class TraceContexts {
  readonly #line: Buffer;
  readonly #field: Buffer;
  readonly #sampledBelow: number;
  readonly #mask: number;
  #last = 0;

  /** `ratio`: the share of contexts that say "sampled", 0 to 1. */
  constructor(random: Random, ratio: number) {
    const hex = (count: number) =>
      Array.from({ length: count }, () => digits.toString('latin1', 0, 16)[Math.floor(random() * 16)]).join('');
    // A trace id must not be all zeros, nor a parent id: the fixed parts see to it.
    const value = `00-f${hex(31)}-f${hex(15)}-00`;
    this.#line = Buffer.from(`${before}${value}\r\n`);
    this.#field = ownField(name, value);
    this.#sampledBelow = ratio * 2 ** 32;
    this.#mask = Math.floor(random() * 2 ** 32);
  }

  /** A new context, as a number above 0. */
  next(): number {
    this.#last = (this.#last + 1) >>> 0 || 1;
    return this.#last;
  }

  /** Its field line; valid until the next call. */
  line(context: number): Buffer {
    this.#write(context, this.#line, before.length);
    return this.#line;
  }

  /** Its field; valid until the next call. */
  field(context: number): OwnField {
    this.#write(context, this.#field, this.#field.length - valueSize);
    return this.#field;
  }

  /** Its field value. */
  value(context: number): string {
    return this.line(context).toString('latin1', before.length, before.length + valueSize);
  }

  /** Writes what differs into the value that begins at `at` of `target`. */
  #write(context: number, target: Buffer, at: number): void {
    const mixed = this.#mixed(context);
    writeHex(mixed, target, at + traceAt + 24);
    writeHex(Math.imul(mixed, 0x9e3779b1), target, at + parentAt + 8); // odd, so one to one as well
    target[at + flagsAt + 1] = 0x30 + Number(mixed < this.#sampledBelow);
  }

  /** One to one, so that no two contexts of a process meet. */
  #mixed(context: number): number {
    let mixed = (context ^ this.#mask) >>> 0;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }
}

function writeHex(value: number, target: Buffer, at: number): void {
  for (let i = 0; i < 8; i++) target[at + i] = digits[(value >>> (28 - i * 4)) & 15]!;
}

/** The trace id in a `traceparent`, or undefined when it is not one. */
export function traceIdIn(traceparent: string): string | undefined {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent)?.[1];
}
