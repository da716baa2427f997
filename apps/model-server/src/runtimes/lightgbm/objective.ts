import { corrupt, unsupported } from '../../model.ts';

/** What becomes of the raw sums; plain data, so that a model can be handed to another thread. */
export type Objective =
  | { readonly kind: 'keep' | 'softmax' | 'exponential' | 'log1p-exponential' | 'signed-square' }
  | { readonly kind: 'sigmoid'; readonly steepness: number };

/** Changes the raw sums of one row, `from` to `to`, in place; double precision. */
type Transform = (sums: Float64Array, from: number, to: number) => void;

const each =
  (change: (sum: number) => number): Transform =>
  (sums, from, to) => {
    for (let at = from; at < to; at++) sums[at] = change(sums[at] as number);
  };

const softmax: Transform = (sums, from, to) => {
  let largest = sums[from] as number;
  for (let at = from + 1; at < to; at++) largest = Math.max(largest, sums[at] as number);
  let total = 0;
  for (let at = from; at < to; at++) {
    const weight = Math.exp((sums[at] as number) - largest);
    sums[at] = weight;
    total += weight;
  }
  for (let at = from; at < to; at++) sums[at] = (sums[at] as number) / total;
};

const keep: Transform = () => {};
const exponential = each(Math.exp);
const logOnePlusExponential = each((sum) => Math.log1p(Math.exp(sum)));
const signedSquare = each((sum) => Math.sign(sum) * sum * sum);
const sigmoid = (steepness: number) => each((sum) => 1 / (1 + Math.exp(-steepness * sum)));

export function transformOf(objective: Objective): Transform {
  switch (objective.kind) {
    case 'keep':
      return keep;
    case 'sigmoid':
      return sigmoid(objective.steepness);
    case 'softmax':
      return softmax;
    case 'exponential':
      return exponential;
    case 'log1p-exponential':
      return logOnePlusExponential;
    case 'signed-square':
      return signedSquare;
  }
}

const identities = [
  'regression_l1',
  'huber',
  'fair',
  'quantile',
  'mape',
  'lambdarank',
  'rank_xendcg',
  'custom',
  'none',
];

/** From the objective line, such as `binary sigmoid:1`. Without one the model had an objective of its own: raw sums. */
export function parseObjective(line: string | undefined): Objective {
  const [name, ...words] = (line ?? 'none').trim().split(/\s+/);
  switch (name) {
    case 'binary':
    case 'multiclassova':
      return { kind: 'sigmoid', steepness: steepnessOf(words) };
    case 'multiclass':
      return { kind: 'softmax' };
    case 'cross_entropy':
      return { kind: 'sigmoid', steepness: 1 };
    case 'cross_entropy_lambda':
      return { kind: 'log1p-exponential' };
    case 'poisson':
    case 'gamma':
    case 'tweedie':
      return { kind: 'exponential' };
    case 'regression':
      return { kind: words.includes('sqrt') ? 'signed-square' : 'keep' };
  }
  if (name === undefined || !identities.includes(name) || words.includes('sqrt'))
    throw unsupported(`the objective ${JSON.stringify(line)} is not supported`);
  return { kind: 'keep' };
}

function steepnessOf(words: readonly string[]): number {
  const word = words.find((candidate) => candidate.startsWith('sigmoid:'));
  const steepness = word === undefined ? 1 : Number(word.slice('sigmoid:'.length));
  if (!(steepness > 0)) throw corrupt(`the objective has ${word}, which is no positive number`);
  return steepness;
}
