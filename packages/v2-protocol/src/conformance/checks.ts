import { InferenceError } from '../errors.ts';
import { decodeInferResponse, type InferResponse, jsonLengthHeader } from '../infer.ts';
import { isRecord } from '../json.ts';
import type { Inapplicable, Problem } from './rule.ts';
import { differenceBetween, jsonOf, type Subject } from './subject.ts';
import type { HttpAnswer } from './transport.ts';

/** What rules look at in answers over HTTP. Each gives the first thing that is wrong. */

export function hasStatus({ status }: HttpAnswer, expected: number): Problem {
  return status === expected ? undefined : `the status is ${status}, not ${expected}`;
}

/** Status 200 and a JSON object that `check` finds nothing wrong with. */
export function hasJson(answer: HttpAnswer, check: (body: Readonly<Record<string, unknown>>) => Problem): Problem {
  const problem = hasStatus(answer, 200);
  if (problem !== undefined) return problem;
  const body = jsonOf(answer);
  return isRecord(body) ? check(body) : 'the body is not a JSON object';
}

/** A client's mistake: a status from 400 to 499 and `{"error": "…"}`. */
export function isRefusal(answer: HttpAnswer, expected?: number): Problem {
  const { status } = answer;
  if (expected !== undefined && status !== expected) return `the status is ${status}, not ${expected}`;
  if (status < 400 || status > 499) return `the status is ${status}, not one from 400 to 499`;
  const body = jsonOf(answer);
  const isError = isRecord(body) && typeof body.error === 'string' && body.error !== '';
  return isError ? undefined : 'the body is not {"error": "…"}';
}

/** A prediction in the protocol's form, and of this model. `check` looks at it further. */
export function isPrediction(
  answer: HttpAnswer,
  { model, outputs }: Subject,
  check: (response: InferResponse) => Problem = () => undefined,
): Problem {
  const problem = hasStatus(answer, 200);
  if (problem !== undefined) return problem;
  let response: InferResponse;
  try {
    response = decodeInferResponse(answer.body, answer.headers[jsonLengthHeader]);
  } catch (error) {
    if (error instanceof InferenceError) return error.message;
    throw error;
  }
  if (response.modelName !== model) return `model_name is ${JSON.stringify(response.modelName)}`;
  return outputsProblem(response, outputs) ?? check(response);
}

export function outputsProblem({ outputs }: InferResponse, promised: Subject['outputs']): Problem {
  if (outputs.length === 0) return 'there are no outputs';
  for (const { name, datatype, shape } of outputs) {
    const metadata = promised.find((output) => output.name === name);
    if (metadata === undefined && promised.length > 0) return `output "${name}" is not in the model's metadata`;
    if (metadata === undefined) continue;
    if (metadata.datatype !== datatype)
      return `output "${name}" is ${datatype}; its metadata says ${metadata.datatype}`;
    // Some servers know no shapes, and say so with no dimensions at all.
    const fits = metadata.shape.every((size, at) => size < 0 || size === shape[at]);
    if (metadata.shape.length > 0 && (metadata.shape.length !== shape.length || !fits))
      return `output "${name}" has shape [${shape}]; its metadata says [${metadata.shape}]`;
  }
  return undefined;
}

/** As the first prediction was, where the model answers the same each time. */
export function isAsBefore(response: InferResponse, { prediction }: Subject): Problem {
  return prediction === undefined ? undefined : differenceBetween(response, prediction);
}

export function onlyOutput(response: InferResponse, name: string): Problem {
  const names = response.outputs.map((output) => output.name);
  return names.length === 1 && names[0] === name ? undefined : `the outputs are ${names.join(', ')}, not ${name} alone`;
}

export const noOutputs: Inapplicable = { skip: "neither the model's metadata nor a prediction names an output" };
export const noVersion: Inapplicable = { skip: "the model's metadata names no version" };
export const noRows: Inapplicable = { skip: 'the inputs of this model are no rows' };
