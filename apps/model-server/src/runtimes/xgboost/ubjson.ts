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
  /** UBJSON is big-endian, and so is this unless told otherwise. */
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
    const kind = kinds[marker];
    if (kind === undefined) throw corrupt(`the UBJSON file holds the unknown marker ${JSON.stringify(marker)}`);
    return kind.read(this.#view, this.#take(kind.sizeBytes));
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

  #object(depth: number): Members {
    const fields = new Members();
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

  /** Read number by number: most arrays are the columns of one tree, and short. */
  #typed(type: string, count: number): ArrayLike<number> {
    const kind = kinds[type];
    if (kind === undefined) throw corrupt(`the UBJSON file has an array of ${JSON.stringify(type)}`);
    const { sizeBytes, read } = kind;
    const from = this.#take(count * sizeBytes);
    const values = kind.create(count);
    for (let at = 0; at < count; at++) values[at] = read(this.#view, from + at * sizeBytes);
    return values;
  }
}

/** An object without inherited names, like one of Object.create(null), but as fast to fill as any other. */
class Members {
  [key: string]: unknown;
}
Object.setPrototypeOf(Members.prototype, null);
Reflect.deleteProperty(Members.prototype, 'constructor');

const [closeBrace, closeBracket, dollar, hash] = [0x7d, 0x5d, 0x24, 0x23];

type Values = Int8Array | Uint8Array | Int16Array | Int32Array | Float32Array | Float64Array;

type Kind = {
  readonly sizeBytes: number;
  readonly create: (count: number) => Values;
  readonly read: (view: DataView, at: number) => number;
};

/** The numbers that XGBoost writes, by their markers. */
const kinds: Readonly<Record<string, Kind>> = {
  i: { sizeBytes: 1, create: (count) => new Int8Array(count), read: (view, at) => view.getInt8(at) },
  U: { sizeBytes: 1, create: (count) => new Uint8Array(count), read: (view, at) => view.getUint8(at) },
  I: { sizeBytes: 2, create: (count) => new Int16Array(count), read: (view, at) => view.getInt16(at) },
  l: { sizeBytes: 4, create: (count) => new Int32Array(count), read: (view, at) => view.getInt32(at) },
  L: { sizeBytes: 8, create: (count) => new Float64Array(count), read: int64 },
  d: { sizeBytes: 4, create: (count) => new Float32Array(count), read: (view, at) => view.getFloat32(at) },
  D: { sizeBytes: 8, create: (count) => new Float64Array(count), read: (view, at) => view.getFloat64(at) },
};

/** As near as a number gets, without the detour through a BigInt. */
function int64(view: DataView, at: number): number {
  return view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
}
