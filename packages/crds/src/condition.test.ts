import { describe, expect, it } from 'vitest';
import { conditionsFor, firstBlocking, type Verdict } from './index.ts';

const owned = new Set(['Ready', 'Loaded']);

describe('conditionsFor', () => {
  it('keeps the time of a status that stays, and sorts by type', () => {
    const before = conditionsFor({ Ready: { status: 'False', reason: 'A', message: 'a' } }, [], owned, 'then');

    const after = conditionsFor(
      { Ready: { status: 'False', reason: 'B', message: 'b' }, Loaded: { status: 'True' } },
      before,
      owned,
      'now',
    );

    expect(after).toEqual([
      { type: 'Loaded', status: 'True', lastTransitionTime: 'now' },
      { type: 'Ready', status: 'False', reason: 'B', message: 'b', lastTransitionTime: 'then' },
    ]);
  });

  it("leaves others' conditions alone and drops ours that no longer apply", () => {
    const before = [
      { type: 'Theirs', status: 'True' },
      { type: 'Loaded', status: 'True' },
    ];

    expect(conditionsFor({ Ready: { status: 'True' } }, before, owned, 'now').map(({ type }) => type)).toEqual([
      'Ready',
      'Theirs',
    ]);
  });
});

describe('firstBlocking', () => {
  const kinds = {
    Second: { meaning: '', good: 'True', rank: 2, reasons: {} },
    First: { meaning: '', good: 'True', rank: 1, reasons: {} },
    Aside: { meaning: '', good: 'True', reasons: {} },
  } as const;
  const no = (reason: string): Verdict => ({ status: 'False', reason, message: '' });

  it('gives the most basic one', () => {
    expect(firstBlocking(kinds, { First: no('one'), Second: no('two') })?.reason).toBe('one');
    expect(firstBlocking(kinds, { First: { status: 'True' }, Second: no('two') })?.reason).toBe('two');
  });

  it('does not ask those without a rank', () => {
    expect(firstBlocking(kinds, { First: { status: 'True' }, Aside: no('aside') })).toBeUndefined();
  });
});
