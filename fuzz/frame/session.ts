import { mutate } from './mutate.ts';
import { seededRandom } from './seeded-random.ts';
import type { Target } from './target.ts';

/** Inputs that are kept to build upon; more would only dilute them. */
const corpusMax = 2_000;

export type Session = {
  /** Makes the next input and runs it. Rejects with what broke. */
  step(): Promise<void>;
  readonly runs: number;
  /** Different outcomes so far, each with its count. */
  readonly outcomes: ReadonlyMap<string, number>;
};

/** Everything follows from `seed`, as long as the target's outcomes follow from its input. `before` sees each input first. */
export function openSession(target: Target, seed: number, before: (input: Uint8Array) => void = () => {}): Session {
  const random = seededRandom(seed);
  const words = target.words.map((word) => new Uint8Array(Buffer.from(word, 'latin1')));
  const seeds = target.seeds();
  const corpus = [...seeds];
  const outcomes = new Map<string, number>();
  let runs = 0;
  return {
    async step() {
      // The seeds go first, as they are: they show that the target can succeed.
      const base = corpus[Math.floor(random() * corpus.length)] as Uint8Array;
      const input = seeds[runs] ?? mutate(base, random, words, corpus);
      before(input);
      const outcome = shapeOf(await target.run(input));
      runs++;
      const count = outcomes.get(outcome) ?? 0;
      outcomes.set(outcome, count + 1);
      if (count === 0 && corpus.length < corpusMax) corpus.push(input);
    },
    get runs() {
      return runs;
    },
    outcomes,
  };
}

/** Outcomes that differ only in numbers and quoted parts are one. */
function shapeOf(outcome: string): string {
  return outcome
    .replaceAll(/"(?:[^"\\]|\\.)*"|"[^"]*$/gs, '""')
    .replaceAll(/-?[\d.]+/g, '0')
    .slice(0, 80);
}
