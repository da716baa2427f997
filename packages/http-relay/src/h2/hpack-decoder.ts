import { headSizeMax } from '../request-head.ts';
import { BlockMemo } from './block-memo.ts';
import { Field, kinds } from './field.ts';
import { HeaderBlock } from './header-block.ts';
import { staticFields, tableSizeMax } from './hpack-table.ts';
import { huffmanDecode } from './huffman.ts';

/** Fields of one message: as many as HTTP/1.1 may have here. */
const fieldsMax = 100;
/** After so many changes of the table in a row, only every so-many-th block is looked up. */
const changesMax = 16;
/** Longer blocks are not worth remembering. */
const memoBlockSizeMax = 512;

const scratch = Buffer.alloc(headSizeMax);

/** Reads header blocks of one connection: RFC 7541. */
export class HpackDecoder {
  /** The dynamic table, newest last; the first `#gone` places are free. */
  #table: Field[] = [];
  #gone = 0;
  #size = 0;
  #limit = tableSizeMax;
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;
  #changed = false;
  /** Forgotten whenever the table changes. */
  readonly #memo = new BlockMemo();
  /** Blocks in a row that changed the table: where every request has a value of its own, none comes again. */
  #changes = 0;

  /** The block in `[start, end)`, the same object for the same bytes; undefined when it is not valid. */
  block(bytes: Buffer, start: number, end: number): HeaderBlock | undefined {
    const short = end - start <= memoBlockSizeMax && this.#isWorthLooking();
    const known = short ? this.#memo.find(bytes, start, end) : undefined;
    if (known !== undefined) return known;
    this.#changed = false;
    const block = this.#decode(bytes, start, end);
    if (this.#changed) {
      this.#changes++;
      this.#memo.clear();
    } else this.#changes = 0;
    if (!this.#changed && block !== undefined && short) this.#memo.keep(bytes, start, end, block);
    return block;
  }

  #isWorthLooking(): boolean {
    return this.#changes < changesMax || this.#changes % changesMax === 0;
  }

  #decode(bytes: Buffer, start: number, end: number): HeaderBlock | undefined {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const fields: Field[] = [];
    let size = 0;
    while (this.#at < end) {
      const first = bytes[this.#at]!;
      if (first >= 0x20 && first < 0x40) {
        if (fields.length > 0 || !this.#resize()) return undefined;
        continue;
      }
      const field = first >= 0x80 ? this.#indexed() : this.#literal(first);
      if (field === undefined) return undefined;
      // The table must be kept right to the end of a block that is too large: only the fields are dropped.
      size += field.size;
      if (size <= headSizeMax && fields.length < fieldsMax) fields.push(field);
      else size = headSizeMax + 1;
    }
    return new HeaderBlock(fields, size > headSizeMax);
  }

  #indexed(): Field | undefined {
    return this.#field(this.#integer(0x7f));
  }

  #literal(first: number): Field | undefined {
    const isKept = first >= 0x40;
    const index = this.#integer(isKept ? 0x3f : 0x0f);
    if (index < 0) return undefined;
    const isSecret = first >= 0x10 && first < 0x20;
    const named = index === 0 ? undefined : this.#field(index);
    const name = index === 0 ? this.#text() : named?.name;
    const value = name === undefined ? undefined : this.#text();
    if (name === undefined || value === undefined) return undefined;
    // One that was forbidden may have been so for its value.
    const isKnown = named !== undefined && named.kind !== kinds.forbidden;
    const field = isKnown ? Field.like(named, value, isSecret) : new Field(name, value, isSecret);
    if (isKept) this.#keep(field);
    return field;
  }

  #field(index: number): Field | undefined {
    if (index <= 0) return undefined;
    if (index <= staticFields.length) return staticFields[index - 1];
    const place = this.#table.length - (index - staticFields.length);
    return place >= this.#gone ? this.#table[place] : undefined;
  }

  #keep(field: Field): void {
    this.#changed = true;
    this.#size += field.size;
    this.#evict();
    if (this.#size > 0) this.#table.push(field);
  }

  #evict(): void {
    while (this.#size > this.#limit && this.#gone < this.#table.length) this.#size -= this.#table[this.#gone++]!.size;
    if (this.#size > this.#limit) this.#size = 0; // RFC 7541 4.4: a field larger than the table empties it
    if (this.#gone > 64) {
      this.#table = this.#table.slice(this.#gone);
      this.#gone = 0;
    }
  }

  #resize(): boolean {
    const limit = this.#integer(0x1f);
    if (limit < 0 || limit > tableSizeMax) return false;
    this.#limit = limit;
    this.#changed = true;
    this.#evict();
    return true;
  }

  /** RFC 7541 5.1, up to 2^21: nothing here is as large. Returns -1 when it is not valid. */
  #integer(mask: number): number {
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 14; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** RFC 7541 5.2, as Latin-1. */
  #text(): string | undefined {
    if (this.#at >= this.#end) return undefined;
    const huffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return undefined;
    this.#at += length;
    if (!huffman) return this.#bytes.toString('latin1', start, this.#at);
    const decoded = huffmanDecode(this.#bytes, start, this.#at, scratch);
    return decoded < 0 ? undefined : scratch.toString('latin1', 0, decoded);
  }
}
