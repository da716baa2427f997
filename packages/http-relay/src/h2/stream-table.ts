import type { Side } from './side.ts';

/** Streams that find a place by their id alone; more than a connection may have at a time, on either side. */
const places = 256;

/**
 * The open streams of one connection, by id. Ids go up by two, so the newest hundreds each have a place of their own, and finding
 * one costs no hash; one that stays while hundreds pass shares its place with a newer one, which goes into a map.
 */
export class StreamTable {
  readonly #places: (Side | undefined)[] = new Array(places).fill(undefined);
  readonly #others = new Map<number, Side>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Side | undefined {
    const side = this.#places[placeOf(id)];
    return side?.id === id ? side : this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  add(side: Side): void {
    const place = placeOf(side.id);
    if (this.#places[place] === undefined) this.#places[place] = side;
    else this.#others.set(side.id, side);
    this.#size++;
  }

  /** Returns whether it was there. */
  delete({ id }: Side): boolean {
    const place = placeOf(id);
    if (this.#places[place]?.id === id) this.#places[place] = undefined;
    else if (!this.#others.delete(id)) return false;
    this.#size--;
    return true;
  }

  /** All of them; the list is the caller's. */
  all(): Side[] {
    return [...this.#places.filter((side) => side !== undefined), ...this.#others.values()];
  }
}

const placeOf = (id: number) => (id >>> 1) & (places - 1);
