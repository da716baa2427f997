import { corrupt, unsupported } from '../../model.ts';

/** Changes the raw sums of one row, `from` to `to`, in place; double precision. */
export type Transform = (sums: Float64Array, from: number, to: number) => void;

const each =
  (change: (sum: number) => number): Transform =>
  (sums, from, to) => {
    for (let at = from; at < to; at++) sums[at] = change(sums[at] as number);
  };

const keep: Transform = () => {};
const exponential = each(Math.exp);
const sigmoid = (steepness: number) => each((sum) => 1 / (1 + Math.exp(-steepness * sum)));

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
export function parseObjective(line: string | undefined): Transform {
  const [name, ...words] = (line ?? 'none').trim().split(/\s+/);
  switch (name) {
    case 'binary':
    case 'multiclassova':
      return sigmoid(steepnessOf(words));
    case 'multiclass':
      return softmax;
    case 'cross_entropy':
      return sigmoid(1);
    case 'cross_entropy_lambda':
      return each((sum) => Math.log1p(Math.exp(sum)));
    case 'poisson':
    case 'gamma':
    case 'tweedie':
      return exponential;
    case 'regression':
      return words.includes('sqrt') ? each((sum) => Math.sign(sum) * sum * sum) : keep;
  }
  if (name === undefined || !identities.includes(name) || words.includes('sqrt'))
    throw unsupported(`the objective ${JSON.stringify(line)} is not supported`);
  return keep;
}

function steepnessOf(words: readonly string[]): number {
  const word = words.find((candidate) => candidate.startsWith('sigmoid:'));
  const steepness = word === undefined ? 1 : Number(word.slice('sigmoid:'.length));
  if (!(steepness > 0)) throw corrupt(`the objective has ${word}, which is no positive number`);
  return steepness;
}
