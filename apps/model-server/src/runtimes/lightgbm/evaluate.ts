import { addTrees } from './forest.ts';
import { transformOf } from './objective.ts';
import type { LightgbmProgram } from './program.ts';

/** `rows` is row-major; gives `outputCount` numbers for each of the `count` rows. */
export function evaluateLightgbm(program: LightgbmProgram, rows: ArrayLike<number>, count: number): Float64Array {
  const { forest, objective, divisor, featureCount, outputCount } = program;
  const transform = transformOf(objective);
  const sums = new Float64Array(count * outputCount);
  for (let row = 0; row < count; row++) {
    const to = row * outputCount;
    addTrees(forest, rows, row * featureCount, sums, to, outputCount);
    if (divisor !== 1) for (let at = to; at < to + outputCount; at++) sums[at] = (sums[at] as number) / divisor;
    transform(sums, to, to + outputCount);
  }
  return sums;
}
