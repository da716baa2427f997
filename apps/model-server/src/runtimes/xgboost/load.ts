import { InferenceError, parseJson } from '@roundhouse/v2-protocol';
import { corrupt, unsupported } from '../../model.ts';
import { type Fields, fieldsOf } from '../fields.ts';
import { shared } from '../shared-memory.ts';
import { outputsMax, type Tabular } from '../tabular.ts';
import { parseLinear } from './linear.ts';
import { type Objective, type ObjectiveName, objectiveNamed } from './objective.ts';
import type { XgboostProgram } from './program.ts';
import { parseForest } from './trees.ts';
import { parseUbjson } from './ubjson.ts';

/** A model as `Booster.save_model` writes it, JSON or UBJSON. It predicts what `Booster.predict` does: with all trees. */
export function parseXgboost(bytes: Buffer): Tabular {
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
  const objectiveName = learner.object('objective').text('name');
  const objective = objectiveNamed(objectiveName);
  const margins = baseMargins(parameters, groupCount, objective);
  const booster = boosterOf(learner.object('gradient_booster'), featureCount, groupCount);
  // XGBoost 3's linear predictor reads the first base score for every output (seen with 3.2.0), and we predict as it does.
  const base = shared(booster.kind === 'linear' ? margins.map(() => margins[0] as number) : margins);
  const names = learner.has('feature_names') ? learner.texts('feature_names') : [];
  return {
    featureCount,
    features: names.length === featureCount ? names : undefined,
    outputCount: objective.picksClass ? 1 : groupCount,
    datatype: 'FP32',
    program: { library: 'xgboost', featureCount, base, objective: objectiveName as ObjectiveName, booster },
  };
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

function boosterOf(booster: Fields, featureCount: number, groupCount: number): XgboostProgram['booster'] {
  const name = booster.text('name');
  switch (name) {
    case 'gbtree':
    case 'dart':
      refuseStringCategories(booster);
      return { kind: 'trees', forest: parseForest(booster, featureCount, groupCount) };
    case 'gblinear':
      return { kind: 'linear', linear: parseLinear(booster, featureCount, groupCount) };
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
