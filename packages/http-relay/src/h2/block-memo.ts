import { copyBytes } from '../bytes.ts';
import type { HeaderBlock } from './header-block.ts';

type Entry = { readonly bytes: Uint8Array; readonly block: HeaderBlock };

const places = 64;

/** Header blocks by the bytes that they came as. Each has one place, which the latest of those who share it has. */
export class BlockMemo {
  readonly #places: (Entry | undefined)[] = new Array(places).fill(undefined);
  #isEmpty = true;

  find(bytes: Uint8Array, start: number, end: number): HeaderBlock | undefined {
    if (this.#isEmpty) return undefined;
    const entry = this.#places[placeOf(bytes, start, end)];
    if (entry === undefined || entry.bytes.length !== end - start) return undefined;
    for (let at = start, i = 0; at < end; at++, i++) if (entry.bytes[i] !== bytes[at]) return undefined;
    return entry.block;
  }

  keep(bytes: Buffer, start: number, end: number, block: HeaderBlock): void {
    const copy = new Uint8Array(end - start);
    copyBytes(bytes, start, end, copy, 0);
    this.#places[placeOf(bytes, start, end)] = { bytes: copy, block };
    this.#isEmpty = false;
  }

  clear(): void {
    if (!this.#isEmpty) this.#places.fill(undefined);
    this.#isEmpty = true;
  }
}

/** FNV-1a. */
function placeOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return (hash ^ (hash >>> 15)) & (places - 1);
}
