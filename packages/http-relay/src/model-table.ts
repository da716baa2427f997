/**
 * FNV-1a over bytes, from `seed`. Not strong: a seed that nobody outside knows keeps names from being chosen to collide.
 */
function hashBytes(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash || 1; // 0 marks a free place
}

function hashText(seed: number, text: string): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash || 1;
}

/**
 * Values by name, found from bytes as they came, without a string: open addressing with linear probing, at most half full.
 * Names are ASCII. `scope` separates equal names of different owners (a small integer; 0 where there is but one).
 */
export class ModelTable<Value> {
  readonly #seed: number;
  #hashes = new Int32Array(64);
  #scopes = new Int32Array(64);
  #names: (string | undefined)[] = new Array(64).fill(undefined);
  #values: (Value | undefined)[] = new Array(64).fill(undefined);
  #size = 0;

  /** `seed`: any integer, best a random one. */
  constructor(seed = 0x811c9dc5) {
    this.#seed = seed | 0;
  }

  get size(): number {
    return this.#size;
  }

  /** The value for the name in `[start, end)`, or undefined. */
  find(scope: number, bytes: Uint8Array, start: number, end: number): Value | undefined {
    const hash = hashBytes(this.#seed ^ scope, bytes, start, end);
    const mask = this.#hashes.length - 1;
    for (let at = hash & mask; this.#hashes[at] !== 0; at = (at + 1) & mask) {
      if (this.#hashes[at] === hash && this.#scopes[at] === scope && isName(this.#names[at]!, bytes, start, end)) {
        return this.#values[at];
      }
    }
    return undefined;
  }

  get(scope: number, name: string): Value | undefined {
    return this.#values[this.#place(scope, name)];
  }

  set(scope: number, name: string, value: Value): void {
    if (this.#size * 2 >= this.#hashes.length) this.#grow();
    const at = this.#place(scope, name);
    if (this.#hashes[at] === 0) this.#size++;
    this.#hashes[at] = hashText(this.#seed ^ scope, name);
    this.#scopes[at] = scope;
    this.#names[at] = name;
    this.#values[at] = value;
  }

  delete(scope: number, name: string): boolean {
    let hole = this.#place(scope, name);
    if (this.#hashes[hole] === 0) return false;
    this.#size--;
    const mask = this.#hashes.length - 1;
    // Entries behind the hole move up if they may, so that no search stops too early and no tombstone is left.
    for (let at = (hole + 1) & mask; this.#hashes[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashes[at]! & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.#hashes[hole] = this.#hashes[at]!;
        this.#scopes[hole] = this.#scopes[at]!;
        this.#names[hole] = this.#names[at];
        this.#values[hole] = this.#values[at];
        hole = at;
      }
    }
    this.#hashes[hole] = 0;
    this.#names[hole] = undefined;
    this.#values[hole] = undefined;
    return true;
  }

  /** Where the name is, or the free place where it would go. */
  #place(scope: number, name: string): number {
    const hash = hashText(this.#seed ^ scope, name);
    const mask = this.#hashes.length - 1;
    let at = hash & mask;
    while (
      this.#hashes[at] !== 0 &&
      !(this.#hashes[at] === hash && this.#scopes[at] === scope && this.#names[at] === name)
    ) {
      at = (at + 1) & mask;
    }
    return at;
  }

  #grow(): void {
    const scopes = this.#scopes;
    const names = this.#names;
    const values = this.#values;
    const places = names.length * 2;
    this.#hashes = new Int32Array(places);
    this.#scopes = new Int32Array(places);
    this.#names = new Array(places).fill(undefined);
    this.#values = new Array(places).fill(undefined);
    this.#size = 0;
    names.forEach((name, at) => {
      if (name !== undefined) this.set(scopes[at]!, name, values[at]!);
    });
  }
}

function isName(name: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
