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
  /** Hash and scope of each place, and its name and value: pairs, so that a look-up among many touches little memory. */
  #keys = new Int32Array(128);
  #held: (string | Value | undefined)[] = new Array(128).fill(undefined);
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
    const keys = this.#keys;
    const hash = hashBytes(this.#seed ^ scope, bytes, start, end);
    const mask = keys.length - 1;
    for (let at = (hash << 1) & mask; keys[at] !== 0; at = (at + 2) & mask) {
      if (keys[at] === hash && keys[at + 1] === scope && isName(this.#held[at] as string, bytes, start, end)) {
        return this.#held[at + 1] as Value;
      }
    }
    return undefined;
  }

  get(scope: number, name: string): Value | undefined {
    return this.#held[this.#place(scope, name) + 1] as Value | undefined;
  }

  set(scope: number, name: string, value: Value): void {
    if (this.#size * 4 >= this.#keys.length) this.#grow();
    const at = this.#place(scope, name);
    if (this.#keys[at] === 0) this.#size++;
    this.#put(at, hashText(this.#seed ^ scope, name), scope, name, value);
  }

  delete(scope: number, name: string): boolean {
    const keys = this.#keys;
    let hole = this.#place(scope, name);
    if (keys[hole] === 0) return false;
    this.#size--;
    const mask = keys.length - 1;
    // Entries behind the hole move up if they may, so that no search stops too early and no tombstone is left.
    for (let at = (hole + 2) & mask; keys[at] !== 0; at = (at + 2) & mask) {
      const home = (keys[at]! << 1) & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        this.#put(hole, keys[at]!, keys[at + 1]!, this.#held[at], this.#held[at + 1]);
        hole = at;
      }
    }
    this.#put(hole, 0, 0, undefined, undefined);
    return true;
  }

  #put(at: number, hash: number, scope: number, name: string | Value | undefined, value: string | Value | undefined) {
    this.#keys[at] = hash;
    this.#keys[at + 1] = scope;
    this.#held[at] = name;
    this.#held[at + 1] = value;
  }

  /** Where the name is, or the free place where it would go. */
  #place(scope: number, name: string): number {
    const keys = this.#keys;
    const hash = hashText(this.#seed ^ scope, name);
    const mask = keys.length - 1;
    let at = (hash << 1) & mask;
    while (keys[at] !== 0 && !(keys[at] === hash && keys[at + 1] === scope && this.#held[at] === name)) {
      at = (at + 2) & mask;
    }
    return at;
  }

  #grow(): void {
    const keys = this.#keys;
    const held = this.#held;
    this.#keys = new Int32Array(keys.length * 2);
    this.#held = new Array(keys.length * 2).fill(undefined);
    this.#size = 0;
    for (let at = 0; at < keys.length; at += 2) {
      if (keys[at] !== 0) this.set(keys[at + 1]!, held[at] as string, held[at + 1] as Value);
    }
  }
}

function isName(name: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}
