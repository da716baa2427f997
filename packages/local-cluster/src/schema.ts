import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, asList, copyOf, isJson, type Json, same } from './json.ts';

/** A structural schema, read once from a CustomResourceDefinition. */
export type Schema = {
  /** '' where the schema takes any type. */
  readonly type: string;
  readonly format: string;
  readonly nullable: boolean;
  readonly preserve: boolean;
  readonly embedded: boolean;
  readonly intOrString: boolean;
  readonly properties: ReadonlyMap<string, Schema>;
  readonly additional: Schema | true | undefined;
  readonly items: Schema | undefined;
  readonly required: readonly string[];
  readonly listType: string;
  readonly mapKeys: readonly string[];
  readonly default: unknown;
  readonly rules: readonly Rule[];
  /** Whether it or anything below it has rules. */
  readonly hasRules: boolean;
  /** The JSON it was read from: limits are looked up there, and OpenAPI shows it. */
  readonly source: Json;
};

export type Rule = {
  readonly rule: string;
  readonly message: string | undefined;
  readonly messageExpression: string | undefined;
  readonly reason: string;
  readonly fieldPath: string;
  readonly optionalOldSelf: boolean;
};

export function schemaFrom(source: Json): Schema {
  const additional = isJson(source.additionalProperties) ? schemaFrom(source.additionalProperties) : undefined;
  const items = isJson(source.items) ? schemaFrom(source.items) : undefined;
  const properties = new Map(
    Object.entries(asJson(source.properties)).map(([name, value]) => [name, schemaFrom(asJson(value))]),
  );
  const rules = asList(source['x-kubernetes-validations']).map(ruleFrom);
  return {
    type: String(source.type ?? ''),
    format: String(source.format ?? ''),
    nullable: source.nullable === true,
    preserve: source['x-kubernetes-preserve-unknown-fields'] === true,
    embedded: source['x-kubernetes-embedded-resource'] === true,
    intOrString: source['x-kubernetes-int-or-string'] === true,
    properties,
    additional: additional ?? (source.additionalProperties === true ? true : undefined),
    items,
    required: asList(source.required).map(String),
    listType: String(source['x-kubernetes-list-type'] ?? 'atomic'),
    mapKeys: asList(source['x-kubernetes-list-map-keys']).map(String),
    default: source.default,
    rules,
    hasRules: rules.length > 0 || [...properties.values(), additional, items].some((child) => child?.hasRules),
    source,
  };
}

function ruleFrom(value: unknown): Rule {
  const rule = asJson(value);
  return {
    rule: String(rule.rule),
    message: rule.message === undefined ? undefined : String(rule.message),
    messageExpression: rule.messageExpression === undefined ? undefined : String(rule.messageExpression),
    reason: String(rule.reason ?? 'FieldValueInvalid'),
    fieldPath: String(rule.fieldPath ?? ''),
    optionalOldSelf: rule.optionalOldSelf === true,
  };
}

const ownOfObjects: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** Removes fields that the schema does not name, in place; gives their paths. */
export function prune(schema: Schema, value: unknown, path = '', isRoot = true): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((item, index) => prune(items, item, `${path}[${index}]`, false)) : [];
  }
  if (!isJson(value)) return [];
  const pruned: string[] = [];
  for (const [name, child] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    if ((isRoot || schema.embedded) && ownOfObjects.includes(name)) continue;
    const known =
      schema.properties.get(name) ?? (isJson(schema.additional) ? (schema.additional as Schema) : undefined);
    if (known) pruned.push(...prune(known, child, at, false));
    else if (!schema.preserve && schema.additional === undefined) {
      delete value[name];
      pruned.push(at);
    }
  }
  return pruned;
}

/** Fills in defaults, in place. A null that the schema does not allow gives way to a default. */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items) for (const item of value) applyDefaults(schema.items, item);
    return;
  }
  if (!isJson(value)) return;
  for (const [name, property] of schema.properties) {
    const isNulled = value[name] === null && !property.nullable;
    if (property.default !== undefined && (value[name] === undefined || isNulled))
      value[name] = copyOf(property.default);
    if (value[name] !== undefined) applyDefaults(property, value[name]);
  }
  if (!isJson(schema.additional)) return;
  for (const [name, child] of Object.entries(value)) {
    if (!schema.properties.has(name)) applyDefaults(schema.additional as Schema, child);
  }
}

/** What is wrong with `value`, in the words of a real API server. CEL rules are not looked at here. */
export function checkSchema(schema: Schema, value: unknown, path: string): FieldError[] {
  if (value === null && schema.nullable) return [];
  const typeError = checkType(schema, value, path);
  if (typeError) return [typeError];
  const errors = [...checkLimits(schema, value, path), ...checkCombined(schema, value, path)];
  if (Array.isArray(value)) {
    const { items } = schema;
    errors.push(...checkUnique(schema, value, path));
    if (items) errors.push(...value.flatMap((item, index) => checkSchema(items, item, `${path}[${index}]`)));
  } else if (isJson(value)) {
    for (const name of schema.required) {
      if (value[name] === undefined) errors.push(fieldError.required(join(path, name)));
    }
    for (const [name, child] of Object.entries(value)) {
      const known = schema.properties.get(name);
      if (known) errors.push(...checkSchema(known, child, join(path, name)));
      else if (isJson(schema.additional))
        errors.push(...checkSchema(schema.additional as Schema, child, join(path, name)));
    }
  }
  return errors;
}

export function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkType(schema: Schema, value: unknown, path: string): FieldError | undefined {
  const actual = typeOf(value);
  if (schema.intOrString) {
    if (actual === 'integer' || actual === 'string') return undefined;
    return fieldError.mistyped(
      path,
      actual,
      `${path} in body must be of type integer,string: ${JSON.stringify(actual)}`,
    );
  }
  const wanted = schema.type;
  if (wanted === '' || wanted === actual || (wanted === 'number' && actual === 'integer')) return undefined;
  return fieldError.mistyped(path, actual, `${path} in body must be of type ${wanted}: ${JSON.stringify(actual)}`);
}

const patterns = new Map<string, RegExp>();

/** Go's regular expressions are close to ours; what differs (inline flags) is rewritten or taken as matching. */
export function patternFor(source: string): RegExp {
  let pattern = patterns.get(source);
  if (!pattern) {
    const [, flags = '', body = source] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(source) ?? [];
    pattern = new RegExp(body.replaceAll('(?P<', '(?<').replaceAll('\\z', '$'), `${flags}u`);
    patterns.set(source, pattern);
  }
  return pattern;
}

type Limit = (limit: unknown, value: unknown, path: string) => FieldError | undefined;

const onString = (check: (limit: number, value: string, path: string) => FieldError | undefined): Limit => {
  return (limit, value, path) => (typeof value === 'string' ? check(Number(limit), value, path) : undefined);
};
const onNumber = (check: (limit: number, value: number, path: string) => FieldError | undefined): Limit => {
  return (limit, value, path) => (typeof value === 'number' ? check(Number(limit), value, path) : undefined);
};
const sized = (is: (value: unknown) => number | undefined, isBroken: (size: number, limit: number) => boolean) => {
  return (describe: (path: string, size: number, limit: number) => FieldError): Limit =>
    (limit, value, path) => {
      const size = is(value);
      return size !== undefined && isBroken(size, Number(limit)) ? describe(path, size, Number(limit)) : undefined;
    };
};
const itemsOf = (value: unknown) => (Array.isArray(value) ? value.length : undefined);
const propertiesOf = (value: unknown) => (isJson(value) ? Object.keys(value).length : undefined);
const over = (size: number, limit: number) => size > limit;
const under = (size: number, limit: number) => size < limit;

const limits: Readonly<Record<string, Limit>> = {
  enum: (limit, value, path) =>
    asList(limit).some((item) => same(item, value)) ? undefined : fieldError.unsupported(path, value, asList(limit)),
  pattern: (limit, value, path) =>
    typeof value !== 'string' || patternFor(String(limit)).test(value)
      ? undefined
      : fieldError.invalid(path, value, `${path} in body should match '${limit}'`),
  minLength: onString((limit, value, path) =>
    [...value].length < limit
      ? fieldError.invalid(path, value, `${path} in body should be at least ${limit} chars long`)
      : undefined,
  ),
  maxLength: onString((limit, value, path) =>
    [...value].length > limit ? fieldError.tooLong(path, limit) : undefined,
  ),
  format: (limit, value, path) =>
    typeof value === 'string' && formats[String(limit)]?.test(value) === false
      ? fieldError.invalid(path, value, `${path} in body must be of type ${limit}: ${JSON.stringify(value)}`)
      : undefined,
  minimum: onNumber((limit, value, path) =>
    value < limit
      ? fieldError.invalid(path, value, `${path} in body should be greater than or equal to ${limit}`)
      : undefined,
  ),
  maximum: onNumber((limit, value, path) =>
    value > limit
      ? fieldError.invalid(path, value, `${path} in body should be less than or equal to ${limit}`)
      : undefined,
  ),
  multipleOf: onNumber((limit, value, path) =>
    value % limit !== 0
      ? fieldError.invalid(path, value, `${path} in body should be a multiple of ${limit}`)
      : undefined,
  ),
  minItems: sized(
    itemsOf,
    under,
  )((path, size, limit) => fieldError.invalid(path, size, `${path} in body should have at least ${limit} items`)),
  maxItems: sized(itemsOf, over)(fieldError.tooMany),
  minProperties: sized(
    propertiesOf,
    under,
  )((path, size, limit) => fieldError.invalid(path, size, `${path} in body should have at least ${limit} properties`)),
  maxProperties: sized(propertiesOf, over)(fieldError.tooMany),
};

const formats: Readonly<Record<string, RegExp>> = {
  'date-time': /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  uuid: /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
  byte: /^[A-Za-z0-9+/]*={0,2}$/,
  ipv4: /^(\d{1,3}\.){3}\d{1,3}$/,
};

function checkLimits(schema: Schema, value: unknown, path: string): FieldError[] {
  return Object.entries(limits).flatMap(([name, check]) => {
    const limit = schema.source[name];
    return limit === undefined ? [] : (check(limit, value, path) ?? []);
  });
}

function checkUnique(schema: Schema, value: readonly unknown[], path: string): FieldError[] {
  if (schema.listType === 'atomic') return [];
  const seen = new Set<string>();
  return value.flatMap((item, index) => {
    const key =
      schema.listType === 'map' ? Object.fromEntries(schema.mapKeys.map((name) => [name, asJson(item)[name]])) : item;
    const text = JSON.stringify(key);
    if (seen.has(text)) return [fieldError.duplicate(`${path}[${index}]`, key)];
    seen.add(text);
    return [];
  });
}

/** allOf, anyOf, oneOf and not, whose branches hold value checks only. */
function checkCombined(schema: Schema, value: unknown, path: string): FieldError[] {
  const { allOf, anyOf, oneOf, not } = schema.source;
  const failuresOf = (branches: unknown) =>
    asList(branches).map((branch) => checkSchema(schemaFrom(asJson(branch)), value, path));
  const errors = failuresOf(allOf).flat();
  const any = failuresOf(anyOf);
  if (any.length > 0 && any.every((failures) => failures.length > 0)) {
    errors.push(fieldError.invalid(path, typeOf(value), `${path} in body must validate at least one schema (anyOf)`));
  }
  const one = failuresOf(oneOf);
  if (one.length > 0 && one.filter((failures) => failures.length === 0).length !== 1) {
    errors.push(
      fieldError.invalid(path, typeOf(value), `${path} in body must validate one and only one schema (oneOf)`),
    );
  }
  if (isJson(not) && checkSchema(schemaFrom(not), value, path).length === 0) {
    errors.push(fieldError.invalid(path, typeOf(value), `${path} in body must not validate the schema (not)`));
  }
  return errors;
}
