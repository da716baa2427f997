import { stepClock } from '@roundhouse/testkit';
import { describe, expect, it } from 'vitest';
import { createFreshness } from './freshness.ts';

describe('createFreshness', () => {
  const started = () => {
    const clock = stepClock();
    let completed = 0;
    const freshness = createFreshness(clock, () => completed++);
    return { clock, freshness, completed: () => completed };
  };

  it('knows nothing before the first snapshot, however long that takes', () => {
    const { clock, freshness } = started();
    freshness.onConnection(true);
    freshness.onConnection(false);
    clock.advance(60_000);
    expect(freshness.complete).toBe(false);

    freshness.onSnapshot();
    expect(freshness.complete).toBe(true);
  });

  it('doubts what it knows from a cut of the stream to the next snapshot', () => {
    const { clock, freshness, completed } = started();
    freshness.onSnapshot();
    freshness.onConnection(false);
    clock.advance(9_000);
    freshness.onConnection(true);
    clock.advance(60_000);
    expect([freshness.complete, completed()]).toEqual([false, 1]);

    freshness.onSnapshot();
    expect([freshness.complete, completed()]).toEqual([true, 2]);
  });

  it('takes it for all that there is when the controller stays away', () => {
    const { clock, freshness, completed } = started();
    freshness.onSnapshot();
    freshness.onConnection(false);
    clock.advance(10_000);

    expect([freshness.complete, completed()]).toEqual([true, 2]);
  });
});
