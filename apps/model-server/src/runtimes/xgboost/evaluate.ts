import { addLinear } from './linear.ts';
import { objectiveNamed } from './objective.ts';
import type { XgboostProgram } from './program.ts';
import { addTrees } from './trees.ts';

/** `rows` is row-major; gives one number per row and output, or per row where the objective picks a class. */
export function evaluateXgboost(program: XgboostProgram, rows: ArrayLike<number>, count: number): Float32Array {
  const { base, booster, featureCount } = program;
  const { transform, picksClass } = objectiveNamed(program.objective);
  const input = rows instanceof Float32Array ? rows : Float32Array.from(rows);
  const groups = base.length;
  const margins = new Float32Array(count * groups);
  for (let row = 0; row < count; row++) {
    const to = row * groups;
    for (let group = 0; group < groups; group++) margins[to + group] = base[group] as number;
    if (booster.kind === 'trees') addTrees(booster.forest, input, row * featureCount, margins, to);
    else addLinear(booster.linear, input, row * featureCount, margins, to);
    transform(margins, to, to + groups);
  }
  return picksClass === true ? bestClasses(margins, groups) : margins;
}

/** The first of the largest, as a float: what softmax gives. */
function bestClasses(margins: Float32Array, groups: number): Float32Array {
  return Float32Array.from({ length: margins.length / groups }, (_, row) => {
    let best = row * groups;
    for (let at = best + 1; at < (row + 1) * groups; at++)
      if ((margins[at] as number) > (margins[best] as number)) best = at;
    return best - row * groups;
  });
}
