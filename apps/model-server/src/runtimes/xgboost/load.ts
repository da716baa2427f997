import { readFile } from 'node:fs/promises';
import { InferenceError, parseJson } from '@roundhouse/v2-protocol';
import type { Artifact } from '../../artifact.ts';
import { corrupt, type Model, unsupported } from '../../model.ts';
import { type Fields, fieldsOf } from '../fields.ts';
import { outputsMax, tabularModel } from '../tabular.ts';
import { addLinear, type Linear, parseLinear } from './linear.ts';
import { type Objective, objectives } from './objective.ts';
import { addTrees, type Forest, parseForest } from './trees.ts';
import { parseUbjson } from './ubjson.ts';

export async function loadXgboost({ path }: Artifact): Promise<Model> {
  return parseXgboost(await readFile(path));
}

/** A model as `Booster.save_model` writes it, JSON or UBJSON. It predicts what `Booster.predict` does: with all trees. */
export function parseXgboost(bytes: Buffer): Model {
  const root = fieldsOf(parseRoot(bytes), 'the file');
  const learner = (root.has('Model') ? root.object('Model') : root).object('learner');
  const parameters = learner.object('learner_model_param');
  const featureCount = parameters.integer('num_feature');
  const groupCount = Math.max(
    1,
    ...['num_class', 'num_target'].map((key) => (parameters.has(key) ? parameters.integer(key) : 0)),
  );
  if (!(featureCount >= 0 && featureCount < 2 ** 28)) throw corrupt(`the file says it has ${featureCount} features`);
  if (groupCount > outputsMax)
    throw unsupported(`the model has ${groupCount} outputs; at most ${outputsMax} are supported`);
  const objective = objectiveOf(learner.object('objective').text('name'));
  const base = baseMargins(parameters, groupCount, objective);
  const add = adderFor(learner.object('gradient_booster'), featureCount, groupCount);
  const names = learner.has('feature_names') ? learner.texts('feature_names') : [];
  return tabularModel({
    platform: 'xgboost',
    featureCount,
    features: names.length === featureCount ? names : undefined,
    outputCount: objective.picksClass ? 1 : groupCount,
    datatype: 'FP32',
    evaluate: (rows, count) => evaluate({ base, add, objective, featureCount }, rows, count),
  });
}

function parseRoot(bytes: Buffer): unknown {
  // JSON has a quote or white space after the brace, UBJSON the type of a length.
  if (/^\s*\{\s*["}]/.test(bytes.toString('latin1', 0, 64))) {
    try {
      return parseJson(bytes.toString('utf8'));
    } catch (error) {
      throw corrupt(
        `not a valid XGBoost model: ${error instanceof InferenceError ? error.message : 'it is too large'}`,
      );
    }
  }
  return parseUbjson(bytes);
}

function objectiveOf(name: string): Objective {
  const objective = objectives.get(name);
  if (objective === undefined) throw unsupported(`the objective ${JSON.stringify(name)} is not supported`);
  return objective;
}

/** base_score is one number up to XGBoost 3.0, later a list with one number per output. */
function baseMargins(parameters: Fields, groupCount: number, { marginOf }: Objective): Float32Array {
  const text = parameters.has('base_score') ? parameters.text('base_score') : '0.5';
  const parts = text.replace(/^\[(.*)\]$/, '$1').split(',');
  const scores = parts.map((part) => (part.trim() === '' ? Number.NaN : Math.fround(Number(part))));
  if (scores.some(Number.isNaN)) throw corrupt(`base_score is ${JSON.stringify(text)}, which is no number`);
  if (scores.length !== 1 && scores.length !== groupCount)
    throw corrupt(`base_score has ${scores.length} numbers for ${groupCount} outputs`);
  return Float32Array.from({ length: groupCount }, (_, group) =>
    marginOf(scores[scores.length === 1 ? 0 : group] as number),
  );
}

/** Adds what the model says about one row to the margins of that row. */
type Add = (row: Float32Array, from: number, margins: Float32Array, to: number) => void;

function adderFor(booster: Fields, featureCount: number, groupCount: number): Add {
  const name = booster.text('name');
  switch (name) {
    case 'gbtree':
    case 'dart': {
      refuseStringCategories(booster);
      const forest: Forest = parseForest(booster, featureCount, groupCount);
      return (row, from, margins, to) => addTrees(forest, row, from, margins, to);
    }
    case 'gblinear': {
      const linear: Linear = parseLinear(booster, featureCount, groupCount);
      return (row, from, margins, to) => addLinear(linear, row, from, margins, to);
    }
  }
  throw unsupported(`the booster ${JSON.stringify(name)} is not supported`);
}

/** Since 3.1 a file may carry the texts behind the categories; a request with numbers would then mean something else. */
function refuseStringCategories(booster: Fields) {
  const model = (booster.has('gbtree') ? booster.object('gbtree') : booster).object('model');
  if (!model.has('cats')) return;
  const encoders = model.object('cats').has('enc') ? model.object('cats').objects('enc') : [];
  if (encoders.some((encoder) => encoder.has('offsets')))
    throw unsupported('the model has categories that are texts; train it on their numbers instead');
}

type Evaluator = {
  readonly base: Float32Array;
  readonly add: Add;
  readonly objective: Objective;
  readonly featureCount: number;
};

function evaluate(
  { base, add, objective, featureCount }: Evaluator,
  rows: ArrayLike<number>,
  count: number,
): Float32Array {
  const input = rows instanceof Float32Array ? rows : Float32Array.from(rows);
  const groups = base.length;
  const margins = new Float32Array(count * groups);
  for (let row = 0; row < count; row++) {
    margins.set(base, row * groups);
    add(input, row * featureCount, margins, row * groups);
    objective.transform(margins, row * groups, (row + 1) * groups);
  }
  return objective.picksClass ? bestClasses(margins, groups) : margins;
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
