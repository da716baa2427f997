import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, asList, copyOf, isJson, type Json, same } from './json.ts';

/** A structural schema: the `openAPIV3Schema` of a CustomResourceDefinition as it was written. */
export type Schema = Json;

/** The schema of a field of an object; undefined where the schema does not know the field. */
export function fieldOf({ properties, additionalProperties }: Schema, name: string): Schema | undefined {
  const found = Object.hasOwn(asJson(properties), name) ? asJson(properties)[name] : additionalProperties;
  return isJson(found) ? found : undefined;
}

export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Fields that every object has, whether its schema names them or not. */
const ownOfObjects: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** Removes fields that the schema does not name, in place; gives their paths. */
export function prune(schema: Schema, value: unknown, path = '', isRoot = true): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return isJson(items) ? value.flatMap((item, index) => prune(items, item, `${path}[${index}]`, false)) : [];
  }
  if (!isJson(value)) return [];
  const isObject = isRoot || schema['x-kubernetes-embedded-resource'] === true;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties !== undefined;
  return Object.entries(value).flatMap(([name, child]) => {
    if (isObject && ownOfObjects.includes(name)) return [];
    const known = fieldOf(schema, name);
    if (known) return prune(known, child, join(path, name), false);
    if (isOpen) return [];
    delete value[name];
    return [join(path, name)];
  });
}

/** Fills in defaults, in place. A null that the schema does not allow gives way to a default. */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) for (const item of value) applyDefaults(asJson(schema.items), item);
  if (!isJson(value)) return;
  for (const [name, property] of Object.entries(asJson(schema.properties))) {
    const { default: given, nullable } = asJson(property);
    const isAbsent = value[name] === undefined || (value[name] === null && nullable !== true);
    if (given !== undefined && isAbsent) value[name] = copyOf(given);
  }
  for (const [name, child] of Object.entries(value)) applyDefaults(fieldOf(schema, name) ?? {}, child);
}

/** What is wrong with `value`, in the words of a real API server. CEL rules are not looked at here. */
export function checkSchema(schema: Schema, value: unknown, path: string): FieldError[] {
  if (value === null && schema.nullable === true) return [];
  const mistyped = checkType(schema, value, path);
  if (mistyped) return [mistyped];
  const errors = [...checkLimits(schema, value, path), ...checkCombined(schema, value, path)];
  if (Array.isArray(value)) {
    const items = asJson(schema.items);
    errors.push(...checkUnique(schema, value, path));
    errors.push(...value.flatMap((item, index) => checkSchema(items, item, `${path}[${index}]`)));
  } else if (isJson(value)) {
    const missing = asList(schema.required).filter((name) => value[String(name)] === undefined);
    errors.push(...missing.map((name) => fieldError.required(join(path, String(name)))));
    for (const [name, child] of Object.entries(value)) {
      errors.push(...checkSchema(fieldOf(schema, name) ?? {}, child, join(path, name)));
    }
  }
  return errors;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkType(schema: Schema, value: unknown, path: string): FieldError | undefined {
  const actual = typeOf(value);
  const wanted = schema['x-kubernetes-int-or-string'] === true ? ['integer', 'string'] : [schema.type ?? actual];
  if (wanted.includes(actual) || (wanted.includes('number') && actual === 'integer')) return undefined;
  return fieldError.mistyped(path, actual, `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`);
}

const patterns = new Map<string, RegExp>();

/** Go's regular expressions are close to ours; what differs (inline flags) is rewritten. */
export function patternFor(source: string): RegExp {
  let pattern = patterns.get(source);
  if (!pattern) {
    const [, flags = '', body = source] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(source) ?? [];
    pattern = new RegExp(body.replaceAll('(?P<', '(?<').replaceAll('\\z', '$'), `${flags}u`);
    patterns.set(source, pattern);
  }
  return pattern;
}

type Limit = readonly [
  measure: (value: unknown) => number | undefined,
  isBroken: (measured: number, limit: number) => boolean,
  describe: (path: string, shown: string | number, limit: number) => FieldError,
];

const number = (value: unknown) => (typeof value === 'number' ? value : undefined);
const letters = (value: unknown) => (typeof value === 'string' ? [...value].length : undefined);
const items = (value: unknown) => (Array.isArray(value) ? value.length : undefined);
const fields = (value: unknown) => (isJson(value) ? Object.keys(value).length : undefined);
const over = (measured: number, limit: number) => measured > limit;
const under = (measured: number, limit: number) => measured < limit;
const should = (words: string) => (path: string, shown: string | number, limit: number) =>
  fieldError.invalid(path, shown, `${path} in body should ${words.replace('$', String(limit))}`);
const tooLong = (path: string, _shown: unknown, limit: number) => fieldError.tooLong(path, limit);
const tooMany = (path: string, count: unknown, limit: number) => fieldError.tooMany(path, Number(count), limit);

const limits = Object.entries<Limit>({
  minimum: [number, under, should('be greater than or equal to $')],
  maximum: [number, over, should('be less than or equal to $')],
  multipleOf: [number, (value, limit) => value % limit !== 0, should('be a multiple of $')],
  minLength: [letters, under, should('be at least $ chars long')],
  maxLength: [letters, over, tooLong],
  minItems: [items, under, should('have at least $ items')],
  maxItems: [items, over, tooMany],
  minProperties: [fields, under, should('have at least $ properties')],
  maxProperties: [fields, over, tooMany],
});

const formats: Readonly<Record<string, RegExp>> = {
  'date-time': /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  byte: /^[A-Za-z0-9+/]*={0,2}$/,
  ipv4: /^(\d{1,3}\.){3}\d{1,3}$/,
};

function checkLimits(schema: Schema, value: unknown, path: string): FieldError[] {
  const errors = limits.flatMap(([keyword, [measure, isBroken, describe]]) => {
    const [limit, measured] = [schema[keyword], measure(value)];
    if (limit === undefined || measured === undefined || !isBroken(measured, Number(limit))) return [];
    return [describe(path, typeof value === 'string' ? value : measured, Number(limit))];
  });
  const { enum: allowed, pattern, format } = schema;
  if (allowed !== undefined && !asList(allowed).some((one) => same(one, value))) {
    errors.push(fieldError.unsupported(path, value, asList(allowed)));
  }
  if (typeof value !== 'string') return errors;
  if (pattern !== undefined && !patternFor(String(pattern)).test(value)) {
    errors.push(fieldError.invalid(path, value, `${path} in body should match '${pattern}'`));
  }
  if (formats[String(format)]?.test(value) === false) {
    const why = `${path} in body must be of type ${format}: ${JSON.stringify(value)}`;
    errors.push(fieldError.invalid(path, value, why));
  }
  return errors;
}

function checkUnique(schema: Schema, value: readonly unknown[], path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'map' && listType !== 'set') return [];
  const seen = new Set<string>();
  return value.flatMap((item, index) => {
    const key = listType === 'map' ? keyOf(schema, item) : item;
    const text = JSON.stringify(key);
    if (seen.has(text)) return [fieldError.duplicate(`${path}[${index}]`, key)];
    seen.add(text);
    return [];
  });
}

/** What tells the items of a list of type `map` apart. */
export function keyOf(schema: Schema, item: unknown): Json {
  const keys = asList(schema['x-kubernetes-list-map-keys']).map(String);
  return Object.fromEntries(keys.map((name) => [name, asJson(item)[name]]));
}

/** allOf, anyOf, oneOf and not, whose branches hold value checks only. */
function checkCombined({ allOf, anyOf, oneOf, not }: Schema, value: unknown, path: string): FieldError[] {
  const failuresOf = (branches: unknown) => asList(branches).map((branch) => checkSchema(asJson(branch), value, path));
  const passing = (branches: unknown) => failuresOf(branches).filter((failures) => failures.length === 0).length;
  const must = (words: string) => fieldError.invalid(path, typeOf(value), `${path} in body must ${words}`);
  const errors = failuresOf(allOf).flat();
  if (anyOf !== undefined && passing(anyOf) === 0) errors.push(must('validate at least one schema (anyOf)'));
  if (oneOf !== undefined && passing(oneOf) !== 1) errors.push(must('validate one and only one schema (oneOf)'));
  if (not !== undefined && passing([not]) === 1) errors.push(must('not validate the schema (not)'));
  return errors;
}
