/** So many at once, and so many a second: what a connection may do that costs us more than it costs the other side. */
export class Allowance {
  readonly #max: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(max: number, perSecond: number, nowMs: number) {
    this.#max = max;
    this.#left = max;
    this.#perSecond = perSecond;
    this.#atMs = nowMs;
  }

  /** Takes one. False when there is none left. */
  take(nowMs: number): boolean {
    if (this.#left < 1) this.#left += Math.min(this.#max, ((nowMs - this.#atMs) / 1_000) * this.#perSecond);
    if (this.#left < 1) return false;
    this.#left--;
    this.#atMs = nowMs;
    return true;
  }

  /** Gives one back: something useful came with it. */
  earn(): void {
    if (this.#left < this.#max) this.#left++;
  }
}
