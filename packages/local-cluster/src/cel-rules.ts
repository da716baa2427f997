import type { ParseResult } from '@marcbachmann/cel-js';
import { messageOf } from '@roundhouse/base';
import { celEnvironment } from './cel-functions.ts';
import type { FieldError } from './field-errors.ts';
import { asJson, isJson, type Json, jsons, same } from './json.ts';
import { fieldOf, join, keyOf, type Schema } from './schema.ts';

const environment = celEnvironment();
const compiled = new Map<string, ParseResult>();

function compile(expression: string): ParseResult {
  const program = compiled.get(expression) ?? environment.parse(expression);
  compiled.set(expression, program);
  return program;
}

/** Why an expression does not compile; undefined if it does. */
export function compileProblem(expression: string): string | undefined {
  try {
    const { valid, error } = compile(expression).check();
    return valid ? undefined : messageOf(error).slice(0, 300);
  } catch (error) {
    return messageOf(error).slice(0, 300);
  }
}

/** The rules of a schema itself, those of its fields not among them. */
export function rulesIn(schema: Schema): readonly Json[] {
  return jsons(schema['x-kubernetes-validations']);
}

const ruled = new WeakMap<Schema, boolean>();

/** Whether a schema or anything below it has rules: most have none, and their values need no visit. */
function hasRules(schema: Schema): boolean {
  const known = ruled.get(schema);
  if (known !== undefined) return known;
  const children = [...Object.values(asJson(schema.properties)), schema.additionalProperties, schema.items];
  const found = rulesIn(schema).length > 0 || children.some((child) => isJson(child) && hasRules(child));
  ruled.set(schema, found);
  return found;
}

/** Asks all rules of the schema about a value that fits the schema. */
export function checkRules(schema: Schema, value: unknown, old: unknown, path = ''): FieldError[] {
  if (value === null || value === undefined || !hasRules(schema)) return [];
  const errors = rulesIn(schema).flatMap((rule) => checkRule(schema, rule, value, old, path) ?? []);
  if (Array.isArray(value)) {
    const items = asJson(schema.items);
    const nested = value.map((item, index) =>
      checkRules(items, item, counterpart(schema, item, old), `${path}[${index}]`),
    );
    return [...errors, ...nested.flat()];
  }
  if (!isJson(value)) return errors;
  for (const [name, child] of Object.entries(value)) {
    errors.push(...checkRules(fieldOf(schema, name) ?? {}, child, asJson(old)[name], join(path, name)));
  }
  return errors;
}

/** The earlier form of a list's item: only items of maps can be told apart. */
function counterpart(schema: Schema, item: unknown, before: unknown): unknown {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(before)) return undefined;
  return before.find((other) => same(keyOf(schema, other), keyOf(schema, item)));
}

function checkRule(schema: Schema, rule: Json, value: unknown, old: unknown, path: string): FieldError | undefined {
  const expression = String(rule.rule);
  const isTransition = /\boldSelf\b/.test(expression);
  if (isTransition && old === undefined && rule.optionalOldSelf !== true) return undefined;
  // What an update leaves alone stays acceptable, even when the rule is newer than the object.
  if (!isTransition && old !== undefined && same(value, old)) return undefined;
  const variables = { self: celValue(schema, value), oldSelf: old === undefined ? undefined : celValue(schema, old) };
  const field = `${path}${rule.fieldPath ?? ''}`.replace(/^\./, '') || '<nil>';
  try {
    if (compile(expression)(variables) === true) return undefined;
  } catch (error) {
    return ruleError(schema, rule, field, `${messageOf(error).split(' > ')[0]} evaluating rule: ${expression.trim()}`);
  }
  return ruleError(schema, rule, field, messageFor(rule, variables));
}

function messageFor({ rule, message, messageExpression }: Json, variables: Json): string {
  const fallback = String(message ?? `failed rule: ${rule}`).trim();
  if (messageExpression === undefined) return fallback;
  try {
    const made: unknown = compile(String(messageExpression))(variables);
    return typeof made === 'string' && made.trim() !== '' ? made.trim() : fallback;
  } catch {
    return fallback;
  }
}

const reasons: Readonly<Record<string, string>> = {
  FieldValueForbidden: 'Forbidden:',
  FieldValueRequired: 'Required value:',
  FieldValueDuplicate: 'Duplicate value:',
  FieldValueInvalid: 'Invalid value:',
};

function ruleError(schema: Schema, { reason }: Json, field: string, detail: string): FieldError {
  const type = reasons[String(reason)] === undefined ? 'FieldValueInvalid' : String(reason);
  // Kubernetes names the type in place of the value.
  const shown = /Invalid|Duplicate/.test(type) ? ` ${JSON.stringify(schema.type ?? '')}:` : '';
  return { field, type, body: `${reasons[type]}${shown} ${detail}` };
}

const keywords =
  /^(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void|while)$/;

/** The name by which CEL reaches a property. */
function celName(name: string): string {
  if (keywords.test(name)) return `__${name}__`;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}

/** A value as CEL has it: integers are 64 bits wide, timestamps and durations are their own types. */
function celValue(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => celValue(asJson(schema.items), item));
  if (isJson(value)) {
    const isProperty = (name: string) => Object.hasOwn(asJson(schema.properties), name);
    const entries = Object.entries(value).map(([name, child]) => {
      return [isProperty(name) ? celName(name) : name, celValue(fieldOf(schema, name) ?? {}, child)];
    });
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number' && Number.isInteger(value) && schema.type !== 'number') return BigInt(value);
  if (typeof value === 'string' && schema.format === 'date-time') return new Date(value);
  return value;
}
