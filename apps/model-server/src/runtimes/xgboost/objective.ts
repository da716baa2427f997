import { unsupported } from '../../model.ts';

/** How an objective turns base_score into a start value and margins into predictions; all in float32. */
export type Objective = {
  readonly marginOf: (baseScore: number) => number;
  /** Changes the margins of one row, `from` to `to`, in place. */
  readonly transform: (margins: Float32Array, from: number, to: number) => void;
  /** The prediction is the number of the best class, not one value per class. */
  readonly picksClass?: boolean;
};

const { exp, fround, log } = Math;

const keep = (value: number) => value;
const nothing = () => {};

const each =
  (change: (margin: number) => number): Objective['transform'] =>
  (margins, from, to) => {
    for (let at = from; at < to; at++) margins[at] = change(margins[at] as number);
  };

/** Beyond 88.7 the float32 exponential overflows; XGBoost stops there. */
const sigmoid = (margin: number) => fround(1 / fround(fround(exp(Math.min(-margin, fround(88.7)))) + 1));

/** The reverse of the sigmoid, kept off 0 and 1 as XGBoost 3 does. */
function logit(baseScore: number): number {
  const inside = Math.min(Math.max(baseScore, fround(1e-6)), fround(1 - 1e-6));
  return fround(-log(fround(fround(1 / inside) - 1)));
}

const logOf = (baseScore: number) => fround(log(baseScore));

function softmax(margins: Float32Array, from: number, to: number) {
  let largest = margins[from] as number;
  for (let at = from + 1; at < to; at++) largest = Math.max(largest, margins[at] as number);
  let sum = 0;
  for (let at = from; at < to; at++) {
    const weight = fround(exp(fround((margins[at] as number) - largest)));
    margins[at] = weight;
    sum += weight;
  }
  const divisor = fround(sum);
  for (let at = from; at < to; at++) margins[at] = (margins[at] as number) / divisor;
}

const identity: Objective = { marginOf: keep, transform: nothing };
const logistic: Objective = { marginOf: logit, transform: each(sigmoid) };
const exponential: Objective = { marginOf: logOf, transform: each((margin) => fround(exp(margin))) };

/** By the name in the file. What is not here is refused at load. */
const objectives = {
  'reg:squarederror': identity,
  'reg:linear': identity,
  'reg:squaredlogerror': identity,
  'reg:absoluteerror': identity,
  'reg:pseudohubererror': identity,
  'reg:quantileerror': identity,
  'rank:ndcg': identity,
  'rank:map': identity,
  'rank:pairwise': identity,
  'binary:logitraw': identity,
  'reg:logistic': logistic,
  'binary:logistic': logistic,
  'binary:hinge': { marginOf: keep, transform: each((margin) => (margin > 0 ? 1 : 0)) },
  'count:poisson': exponential,
  'reg:gamma': exponential,
  'reg:tweedie': exponential,
  'survival:cox': exponential,
  'survival:aft': exponential,
  'multi:softprob': { marginOf: keep, transform: softmax },
  'multi:softmax': { marginOf: keep, transform: nothing, picksClass: true },
} as const satisfies Readonly<Record<string, Objective>>;

export type ObjectiveName = keyof typeof objectives;

export function objectiveNamed(name: string): Objective {
  if (!Object.hasOwn(objectives, name)) throw unsupported(`the objective ${JSON.stringify(name)} is not supported`);
  return objectives[name as ObjectiveName];
}
