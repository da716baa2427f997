import { elementsToJson, tensorFromJson } from './elements.ts';
import { invalid } from './errors.ts';
import { decodeJson, isRecord, textOf } from './json.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { elementCount, parseShape, type Tensor, type TensorMetadata } from './tensor.ts';

/**
 * Decodes the body of `POST /v1/models/M:predict` into the model's inputs. Each of `instances` (or `inputs`) is one row: a list,
 * a scalar, or an object keyed by input name or, for a model with one input, by `features`. null stands for NaN.
 */
export function decodeV1Request(
  body: Uint8Array,
  inputs: readonly TensorMetadata[],
  features: readonly string[] | undefined,
  limits: Limits = defaultLimits,
): Tensor[] {
  const decode = (value: unknown) => {
    if (!isRecord(value)) throw invalid('the request is not a JSON object');
    // Both present: KServe's servers take "inputs".
    const rows = value.inputs ?? value.instances;
    if (!Array.isArray(rows)) throw invalid('the request needs "instances", an array of rows');
    if (rows.length === 0) throw invalid('"instances" is empty');
    const first: unknown = rows[0];
    if (!isRecord(first) && inputs.length > 1)
      throw invalid(`the model has ${inputs.length} inputs; give each row as an object with ${namesOf(inputs)}`);
    return inputs.map((input) => tensorFromRows(input, rowsFor(input, rows, inputs, features), limits));
  };
  return decodeJson(textOf(body, 'the request'), decode, limits);
}

function namesOf(inputs: readonly TensorMetadata[]): string {
  return inputs.map(({ name }) => `"${name}"`).join(', ');
}

function rowsFor(
  { name }: TensorMetadata,
  rows: readonly unknown[],
  inputs: readonly TensorMetadata[],
  features: readonly string[] | undefined,
): readonly unknown[] {
  if (!isRecord(rows[0])) return rows;
  const byFeature = inputs.length === 1 && features !== undefined && !Object.hasOwn(rows[0], name);
  const keys = byFeature ? features : inputs.map((input) => input.name);
  return rows.map((row, index) => {
    if (!isRecord(row)) throw invalid(`row ${index} is no object, but the first row is`);
    const missing = keys.find((key) => !Object.hasOwn(row, key));
    if (missing !== undefined) throw invalid(`row ${index} has no "${missing}"`);
    const unknown = Object.keys(row).find((key) => !keys.includes(key));
    if (unknown !== undefined) throw invalid(`row ${index} has "${unknown}", which the model does not know`);
    return byFeature ? features.map((feature) => row[feature]) : row[name];
  });
}

function tensorFromRows({ name, datatype, shape }: TensorMetadata, rows: readonly unknown[], limits: Limits): Tensor {
  const found: number[] = [];
  for (let level: unknown = rows; Array.isArray(level) && found.length <= 32; level = level[0])
    found.push(level.length);
  // One number per row for a model that takes columns of one: as if each were in brackets.
  if (found.length === 1 && shape.length === 2 && (shape[1] === 1 || shape[1] === -1)) found.push(1);
  return tensorFromJson(name, datatype, parseShape(found, name, datatype, limits), rows, 'as-numbers');
}

/**
 * The answer of `:predict`: one prediction per row. A model with one output gives its rows; one with several gives an object per
 * row, keyed by output name.
 */
export function encodeV1Response(outputs: readonly Tensor[]): string {
  const [only] = outputs;
  if (outputs.length === 1 && only !== undefined) return `{"predictions":${nestedJson(only)}}`;
  const columns = outputs.map((output) => ({ name: JSON.stringify(output.name), rows: rowsJson(output) }));
  const count = columns[0]?.rows.length ?? 0;
  if (columns.some(({ rows }) => rows.length !== count)) {
    // Outputs that do not share a first dimension are no rows.
    return `{"predictions":{${outputs.map((output) => `${JSON.stringify(output.name)}:${nestedJson(output)}`)}}}`;
  }
  const rows = Array.from({ length: count }, (_, at) => `{${columns.map(({ name, rows }) => `${name}:${rows[at]}`)}}`);
  return `{"predictions":[${rows}]}`;
}

function nestedJson(tensor: Tensor): string {
  if (tensor.shape.length === 0) return elementsToJson(tensor, 'as-numbers').slice(1, -1);
  if (tensor.shape.length === 1) return elementsToJson(tensor, 'as-numbers');
  return `[${rowsJson(tensor)}]`;
}

function rowsJson(tensor: Tensor): string[] {
  const [count, ...shape] = tensor.shape;
  if (count === undefined) return [nestedJson(tensor)];
  const size = elementCount(shape);
  const { data } = tensor;
  return Array.from({ length: count }, (_, at) =>
    nestedJson({ ...tensor, shape, data: data.slice(at * size, (at + 1) * size) }),
  );
}
