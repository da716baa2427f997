import { copyBytes } from '../bytes.ts';
import type { OwnField } from '../own-field.ts';
import type { Field } from './field.ts';
import { staticFields, tableSizeMax } from './hpack-table.ts';

/** Index of a static field, and of the first one with a name. */
const staticIndex = new Map<string, number>();
const staticName = new Map<string, number>();
staticFields.forEach((field, at) => {
  staticIndex.set(field.key, at + 1);
  if (!staticName.has(field.name)) staticName.set(field.name, at + 1);
});

/** Fields seen once are kept in mind up to here: what comes a second time is worth a place in the table. */
const seenMax = 256;
/** Fields that found no place before the table is emptied: what fills it is out of use by then. */
const missesMax = 1_000;

/** Values of one name, each new when it came, after which it is taken for one that changes with every request. */
const valuesMax = 64;
const restlessMax = 16;

/** Places for encoded blocks, by serial number; they are forgotten whenever the table changes. */
const memoPlaces = 64;

/** What stands for the fields of a message. */
export type Owner = { readonly serial: number };

type Encoded = { readonly owner: Owner; readonly bytes: Buffer };

function look(field: Field): void {
  field.fixedName = staticName.get(field.name) ?? 0;
  field.fixed = field.fixedName === 0 ? 0 : (staticIndex.get(field.key) ?? 0);
}

/** A block is built here. Decoded blocks are bounded by 32 KiB and fields are not larger encoded than they count decoded. */
const scratch = Buffer.alloc(64 * 1024);

/**
 * Writes header blocks of one connection: RFC 7541. The table is filled with fields that come more than once and never evicts
 * one for another, so that blocks stay the same for as long as possible; text is not Huffman-coded.
 */
export class HpackEncoder {
  #limit = tableSizeMax;
  /** To be announced in the next block: the smallest limit meanwhile, then the present one. */
  #announce: number[] = [];
  #size = 0;
  #count = 0;
  /** Order of insertion, from 1, by key. */
  readonly #places = new Map<string, number>();
  /** The same by name, of the first. */
  readonly #names = new Map<string, number>();
  readonly #seen = new Set<string>();
  /** How many new values each name has come with since one came again, and names with too many: trace contexts, deadlines. */
  readonly #values = new Map<string, number>();
  readonly #restless = new Set<string>();
  #misses = 0;
  #bytes: Buffer = scratch;
  #at = 0;
  #changed = false;
  /** The block has a value that will not come again. */
  #fleeting = false;
  readonly #memo: (Encoded | undefined)[] = new Array(memoPlaces).fill(undefined);
  #remembers = false;

  /** The table's size as the other side asks for it. */
  resize(limit: number): void {
    const next = Math.min(limit, tableSizeMax);
    if (next === this.#limit) return;
    this.#limit = next;
    this.#reset();
  }

  /** What was encoded last. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /**
   * Encodes `kept`, and then one or two fields of our own, into `bytes`, until the next call, and returns the size. `owner`, if
   * given, stands for the very fields of `kept`.
   */
  encode(owner: Owner | undefined, kept: readonly Field[], one?: OwnField, two?: OwnField): number {
    this.#at = 0;
    this.#bytes = scratch;
    const known = owner === undefined ? undefined : this.#known(owner);
    if (known === undefined) this.#all(owner, kept);
    else if (one === undefined) {
      this.#bytes = known;
      return known.length;
    } else this.#append(known);
    if (one !== undefined) this.#append(one);
    if (two !== undefined) this.#append(two);
    return this.#at;
  }

  #append(bytes: Buffer): void {
    copyBytes(bytes, 0, bytes.length, scratch, this.#at);
    this.#at += bytes.length;
  }

  #known(owner: Owner): Buffer | undefined {
    if (!this.#remembers || this.#announce.length > 0) return undefined;
    const encoded = this.#memo[owner.serial & (memoPlaces - 1)];
    return encoded?.owner === owner ? encoded.bytes : undefined;
  }

  #forgetAll(): void {
    if (this.#remembers) this.#memo.fill(undefined);
    this.#remembers = false;
  }

  #all(owner: Owner | undefined, kept: readonly Field[]): void {
    this.#changed = this.#announce.length > 0;
    this.#fleeting = false;
    for (const limit of this.#announce.splice(0)) this.#integer(0x20, 0x1f, limit);
    if (this.#misses > missesMax) {
      this.#integer(0x20, 0x1f, 0);
      this.#integer(0x20, 0x1f, this.#limit);
      this.#empty();
    }
    for (const field of kept) this.#write(field);
    if (this.#changed) this.#forgetAll();
    else if (owner !== undefined && !this.#fleeting) {
      const bytes = Buffer.from(scratch.subarray(0, this.#at));
      this.#memo[owner.serial & (memoPlaces - 1)] = { owner, bytes };
      this.#remembers = true;
    }
  }

  #write(field: Field) {
    if (field.fixedName < 0) look(field);
    if (field.fixed > 0) return this.#integer(0x80, 0x7f, field.fixed);
    const name = this.#nameOf(field);
    if (field.secret) return this.#literal(field, name, 0x10);
    if (this.#restless.size > 0 && this.#restless.has(field.name)) {
      this.#fleeting = true;
      return this.#literal(field, name, 0);
    }
    const place = this.#places.get(field.key);
    if (place !== undefined) return this.#integer(0x80, 0x7f, this.#index(place));
    if (!this.#isWorthIt(field)) return this.#literal(field, name, 0);
    this.#literal(field, name, 0x40);
    this.#size += field.size;
    this.#places.set(field.key, ++this.#count);
    if (!this.#names.has(field.name)) this.#names.set(field.name, this.#count);
    this.#changed = true;
  }

  #isWorthIt(field: Field): boolean {
    if (!this.#seen.has(field.key)) {
      if (this.#seen.size >= seenMax) this.#seen.clear();
      this.#seen.add(field.key);
      this.#countValue(field.name);
      this.#changed = true; // the next time it is written otherwise
      return false;
    }
    this.#values.delete(field.name);
    if (this.#size + field.size <= this.#limit) return true;
    this.#misses++;
    return false;
  }

  /** A name whose values nearly never come again is not looked at any more. */
  #countValue(name: string): void {
    const values = (this.#values.get(name) ?? 0) + 1;
    if (values >= valuesMax && this.#restless.size < restlessMax) this.#restless.add(name);
    if (this.#values.size < seenMax || values > 1) this.#values.set(name, values);
  }

  /** Of the newest field: one behind the static ones. */
  #index(place: number): number {
    return staticFields.length + 1 + this.#count - place;
  }

  #nameOf(field: Field): number {
    if (field.fixedName < 0) look(field);
    if (field.fixedName > 0) return field.fixedName;
    const place = this.#names.get(field.name);
    return place === undefined ? 0 : this.#index(place);
  }

  #literal(field: Field, name: number, form: number): void {
    this.#integer(form, form === 0x40 ? 0x3f : 0x0f, name);
    if (name === 0) this.#text(field.name);
    this.#text(field.value);
  }

  #text(text: string): void {
    this.#integer(0, 0x7f, text.length);
    this.#at += scratch.write(text, this.#at, 'latin1');
  }

  #integer(form: number, mask: number, value: number): void {
    if (value < mask) {
      scratch[this.#at++] = form | value;
      return;
    }
    scratch[this.#at++] = form | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) scratch[this.#at++] = (rest & 0x7f) | 0x80;
    scratch[this.#at++] = rest;
  }

  #reset(): void {
    this.#announce = this.#limit === 0 ? [0] : [0, this.#limit];
    this.#empty();
  }

  #empty(): void {
    this.#places.clear();
    this.#names.clear();
    this.#seen.clear();
    this.#values.clear();
    this.#restless.clear();
    this.#forgetAll();
    this.#size = this.#count = this.#misses = 0;
    this.#changed = true;
  }
}
