type Kind = Int32Array | Float32Array | Float64Array;

/** Numbers in memory that all threads see, so that a model is held once, wherever it predicts. */
export function shared<Array extends Kind>(values: Array): Array {
  const create = values.constructor as new (buffer: SharedArrayBuffer) => Array;
  const copy = new create(new SharedArrayBuffer(values.byteLength));
  copy.set(values as ArrayLike<number>);
  return copy;
}

/** Numbers added one after the other, whose count is not known before. */
export class Growing<Array extends Kind> {
  #values: Array;
  #length = 0;

  constructor(create: (length: number) => Array) {
    this.#create = create;
    this.#values = create(64);
  }

  readonly #create: (length: number) => Array;

  get length(): number {
    return this.#length;
  }

  push(value: number) {
    if (this.#length === this.#values.length) {
      const larger = this.#create(this.#length * 2);
      larger.set(this.#values as ArrayLike<number>);
      this.#values = larger;
    }
    this.#values[this.#length++] = value;
  }

  append(values: ArrayLike<number>) {
    for (let at = 0; at < values.length; at++) this.push(values[at] as number);
  }

  /** What was added, shared. */
  finish(): Array {
    return shared(this.#values.subarray(0, this.#length) as Array);
  }
}
