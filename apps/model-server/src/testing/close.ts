import { expect } from 'vitest';

/** Equal in structure, and in numbers up to `relative` (or, near zero, that much absolutely). */
export function expectClose(actual: unknown, expected: unknown, relative: number) {
  const differences: string[] = [];
  compare(actual, expected, relative, '', differences);

  expect(differences).toEqual([]);
}

function compare(actual: unknown, expected: unknown, relative: number, place: string, differences: string[]) {
  if (typeof actual === 'number' && typeof expected === 'number') {
    const isClose = Math.abs(actual - expected) <= relative * Math.max(Math.abs(expected), relative);
    if (!isClose && actual !== expected) differences.push(`${place}: ${actual} instead of ${expected}`);
    return;
  }
  const isTree = (value: unknown) => typeof value === 'object' && value !== null;
  if (!isTree(actual) || !isTree(expected)) {
    if (actual !== expected) differences.push(`${place}: ${actual} instead of ${expected}`);
    return;
  }
  const [left, right] = [Object.entries(actual as object), Object.entries(expected as object)];
  if (left.length !== right.length) differences.push(`${place}: ${left.length} entries instead of ${right.length}`);
  for (const [key, value] of right)
    compare((actual as Record<string, unknown>)[key], value, relative, `${place}.${key}`, differences);
}
