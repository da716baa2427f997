import { describe, expect, it } from 'vitest';
import { openSession } from './frame/session.ts';
import type { Target } from './frame/target.ts';
import { groupNamed, groupNames } from './frame/targets.ts';

/** A part of each run, always the same, so that what breaks is noticed with the change that breaks it. */
const runsDefault = 3_000;
const seed = 20_26;
const repeatedBytes = 40 * 1024;

const groups = await Promise.all(groupNames.map(async (name) => ({ name, ...(await groupNamed(name)) })));
const names = groups.filter(({ needs }) => needs === undefined).map(({ name }) => name);

describe.each(names)('what damaged input does to %s', async (name) => {
  const { targets } = await groupNamed(name);

  it.each(targets)(
    '$name: no worse than a refusal',
    async (target) => {
      const runs = target.testRuns ?? runsDefault;
      const session = openSession(target, seed);
      const seeds = target.seeds().length;
      for (let run = 0; run < seeds; run++) await session.step();
      const accepted = session.outcomes.size;
      for (let run = seeds; run < runs; run++) await session.step();

      expect(accepted).toBeGreaterThan(0);
      expect(session.outcomes.size).toBeGreaterThan(accepted);
    },
    60_000,
  );

  // Quadratic time at this length is seconds for one input, and there are hundreds.
  it.each(targets.filter(({ testRuns }) => testRuns === undefined))(
    '$name: nothing that repeats takes long',
    async (target) => {
      const marks = ['', '"', '\\', ' ', '0', '['];
      for (const first of [...target.words, ...marks.slice(1)]) {
        for (const second of marks) {
          const pair = Buffer.from(`${first}${second}`, 'latin1');
          await target.run(new Uint8Array(Buffer.alloc(repeatedBytes, pair)));
        }
      }
    },
    60_000,
  );
});

describe('a session', () => {
  const planted: Target = {
    name: 'planted',
    seeds: () => [new Uint8Array(Buffer.from('{"size":1}'))],
    words: ['size'],
    run(input) {
      const size = /"size":(-?\d+)/.exec(Buffer.from(input).toString('latin1'))?.[1];
      if (size !== undefined && Number(size) > 2 ** 32) throw new Error('planted');
      return size === undefined ? 'refused' : 'taken';
    },
  };
  const inputsOf = async (sessionSeed: number) => {
    const inputs: string[] = [];
    const session = openSession(planted, sessionSeed, (input) => inputs.push(Buffer.from(input).toString('latin1')));
    for (;;) {
      try {
        await session.step();
      } catch (error) {
        return { inputs, error };
      }
    }
  };

  it('finds what is wrong, and finds it again with the same seed', async () => {
    const [first, again, other] = [await inputsOf(7), await inputsOf(7), await inputsOf(8)];

    expect(first.error).toEqual(new Error('planted'));
    expect(again.inputs).toEqual(first.inputs);
    expect(other.inputs).not.toEqual(first.inputs);
  });
});
