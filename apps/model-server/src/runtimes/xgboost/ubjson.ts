import { corrupt } from '../../model.ts';

/** Deeper than any XGBoost file (about 10); bounds recursion. */
const depthMax = 64;

/** Reads UBJSON as XGBoost writes it. Typed arrays become typed arrays; every length is checked against the bytes left. */
export function parseUbjson(bytes: Buffer): unknown {
  const reader = new UbjsonReader(bytes);
  const value = reader.value(reader.marker(), 0);
  return value;
}

class UbjsonReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  marker(): string {
    return String.fromCharCode(this.#bytes[this.#take(1)] as number);
  }

  value(marker: string, depth: number): unknown {
    if (depth > depthMax) throw corrupt('the UBJSON file is nested too deeply');
    switch (marker) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case 'S':
        return this.#string();
      case 'C':
        return this.marker();
      case 'T':
      case 'F':
        return marker === 'T';
      case 'Z':
        return null;
      case 'N':
        return this.value(this.marker(), depth + 1);
    }
    return this.#number(marker);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw corrupt('the UBJSON file ends too early');
    this.#at = at + count;
    return at;
  }

  #number(marker: string): number {
    const bytes = this.#bytes;
    switch (marker) {
      case 'i':
        return bytes.readInt8(this.#take(1));
      case 'U':
        return bytes.readUInt8(this.#take(1));
      case 'I':
        return bytes.readInt16BE(this.#take(2));
      case 'l':
        return bytes.readInt32BE(this.#take(4));
      case 'L':
        return Number(bytes.readBigInt64BE(this.#take(8)));
      case 'd':
        return bytes.readFloatBE(this.#take(4));
      case 'D':
        return bytes.readDoubleBE(this.#take(8));
    }
    throw corrupt(`the UBJSON file holds the unknown marker ${JSON.stringify(marker)}`);
  }

  #length(): number {
    const length = this.#number(this.marker());
    if (!Number.isSafeInteger(length) || length < 0) throw corrupt('the UBJSON file holds an impossible length');
    return length;
  }

  #string(): string {
    const length = this.#length();
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  #object(depth: number): Record<string, unknown> {
    const fields: Record<string, unknown> = Object.create(null);
    while (this.#bytes[this.#at] !== closeBrace) {
      const key = this.#string();
      fields[key] = this.value(this.marker(), depth + 1);
    }
    this.#at++;
    return fields;
  }

  #array(depth: number): unknown {
    const next = this.#bytes[this.#at];
    if (next === dollar) {
      this.#at++;
      const type = this.marker();
      this.#expect(hash);
      return this.#typed(type, this.#length());
    }
    const values: unknown[] = [];
    if (next === hash) {
      this.#at++;
      // Each value takes a byte at least, so a false length ends at the end of the file.
      for (let left = this.#length(); left > 0; left--) values.push(this.value(this.marker(), depth + 1));
      return values;
    }
    while (this.#bytes[this.#at] !== closeBracket) values.push(this.value(this.marker(), depth + 1));
    this.#at++;
    return values;
  }

  #expect(code: number) {
    if (this.#bytes[this.#take(1)] !== code) throw corrupt('the UBJSON file has a malformed array');
  }

  #typed(type: string, count: number): ArrayLike<number> {
    const layout = typed[type];
    if (layout === undefined) throw corrupt(`the UBJSON file has an array of ${JSON.stringify(type)}`);
    const sizeBytes = layout.BYTES_PER_ELEMENT;
    const at = this.#take(count * sizeBytes);
    // A copy of its own is aligned, and can be turned around in place: UBJSON is big-endian.
    const bytes = Buffer.from(
      this.#bytes.buffer.slice(this.#bytes.byteOffset + at, this.#bytes.byteOffset + at + count * sizeBytes),
    );
    if (sizeBytes === 2) bytes.swap16();
    if (sizeBytes === 4) bytes.swap32();
    if (sizeBytes === 8) bytes.swap64();
    const values = new layout(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
    return values instanceof BigInt64Array ? Float64Array.from(values, Number) : values;
  }
}

const [closeBrace, closeBracket, dollar, hash] = [0x7d, 0x5d, 0x24, 0x23];

type NumberArray =
  | typeof Int8Array
  | typeof Uint8Array
  | typeof Int16Array
  | typeof Int32Array
  | typeof BigInt64Array
  | typeof Float32Array
  | typeof Float64Array;

const typed: Readonly<Record<string, NumberArray>> = {
  i: Int8Array,
  U: Uint8Array,
  I: Int16Array,
  l: Int32Array,
  L: BigInt64Array,
  d: Float32Array,
  D: Float64Array,
};
