import { describe, expect, it } from 'vitest';
import { createCost } from './cost.ts';

describe('createCost', () => {
  it('guesses in proportion before anything was measured', () => {
    expect(createCost(0.01).estimateMs(300)).toBe(3);
  });

  it('takes what was measured for sizes like it, and more for larger ones', () => {
    const cost = createCost(1);
    cost.learn(8, 0.5);

    expect([cost.estimateMs(8), cost.estimateMs(5), cost.estimateMs(64)]).toEqual([0.5, 0.5, 4]);
  });

  it('knows better once the larger size was measured', () => {
    const cost = createCost(1);
    cost.learn(1, 0.03);
    cost.learn(64, 0.06);

    expect(cost.estimateMs(64)).toBe(0.06);
    expect(cost.estimateMs(640)).toBeCloseTo(0.96);
  });

  it('follows a model that became slower, but not at the first slow run', () => {
    const cost = createCost(1);
    cost.learn(1, 0.03);
    cost.learn(1, 500);

    expect(cost.estimateMs(1)).toBeLessThan(0.2);

    for (let run = 0; run < 8; run++) cost.learn(1, 500);

    expect(cost.estimateMs(1)).toBeGreaterThan(2);

    for (let run = 0; run < 8; run++) cost.learn(1, 0.03);

    expect(cost.estimateMs(1)).toBeLessThan(0.2);
  });
});
