import { ModelTable } from '@roundhouse/http-relay';
import { type Entry, emptyEntry } from './entry.ts';

/** The models of this replica, by name. The data path finds them without a string. */
export class Entries {
  readonly #byName = new Map<string, Entry>();
  readonly #byBytes = new ModelTable<Entry>();

  get(name: string): Entry | undefined {
    return this.#byName.get(name);
  }

  /** By the name in `[start, end)`. */
  find(bytes: Uint8Array, start: number, end: number): Entry | undefined {
    return this.#byBytes.find(0, bytes, start, end);
  }

  /** The entry of this name: an empty one when there is none yet. */
  of(name: string): Entry {
    let entry = this.#byName.get(name);
    if (entry === undefined) {
      entry = emptyEntry(name);
      this.#byName.set(name, entry);
      this.#byBytes.set(0, name, entry);
    }
    return entry;
  }

  delete(name: string): void {
    this.#byName.delete(name);
    this.#byBytes.delete(0, name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  /** Requests to each model since this was called before, of those that had any. */
  *takeTraffic(): Generator<{ readonly name: string; readonly requests: number; readonly errors: number }> {
    for (const entry of this.#byName.values()) {
      const { name, requests, errors } = entry;
      if (requests === 0) continue;
      entry.requests = 0;
      entry.errors = 0;
      yield { name, requests, errors };
    }
  }

  values(): IterableIterator<Entry> {
    return this.#byName.values();
  }
}
