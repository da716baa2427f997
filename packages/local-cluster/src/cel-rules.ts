import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import { messageOf } from '@roundhouse/base';
import { celEnvironment } from './cel-functions.ts';
import type { FieldError } from './field-errors.ts';
import { asJson, isJson, type Json, same } from './json.ts';
import { join, type Rule, type Schema } from './schema.ts';

const environment: Environment = celEnvironment();
const compiled = new Map<string, ParseResult>();

function compile(expression: string): ParseResult {
  let program = compiled.get(expression);
  if (!program) {
    program = environment.parse(expression);
    compiled.set(expression, program);
  }
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

/** Asks all rules of the schema about a value that fits the schema. */
export function checkRules(schema: Schema, value: unknown, old: unknown, path = ''): FieldError[] {
  if (value === null || value === undefined) return [];
  const errors = schema.rules.flatMap((rule) => checkRule(schema, rule, value, old, path) ?? []);
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return errors;
    const before = Array.isArray(old) ? old : [];
    const nested = value.map((item, index) =>
      checkRules(items, item, counterpart(schema, item, before), `${path}[${index}]`),
    );
    return [...errors, ...nested.flat()];
  }
  if (!isJson(value)) return errors;
  const before = asJson(old);
  for (const [name, child] of Object.entries(value)) {
    const property =
      schema.properties.get(name) ?? (isJson(schema.additional) ? (schema.additional as Schema) : undefined);
    if (property) errors.push(...checkRules(property, child, before[name], join(path, name)));
  }
  return errors;
}

/** The earlier form of a list's item: only items of maps can be told apart. */
function counterpart(schema: Schema, item: unknown, before: readonly unknown[]): unknown {
  if (schema.listType !== 'map') return undefined;
  return before.find((other) => schema.mapKeys.every((key) => same(asJson(other)[key], asJson(item)[key])));
}

function checkRule(schema: Schema, rule: Rule, value: unknown, old: unknown, path: string): FieldError | undefined {
  const isTransition = /\boldSelf\b/.test(rule.rule);
  if (isTransition && old === undefined && !rule.optionalOldSelf) return undefined;
  // What an update leaves alone stays acceptable, even when the rule is newer than the object.
  if (!isTransition && old !== undefined && same(value, old)) return undefined;
  const variables = { self: celValue(schema, value), oldSelf: old === undefined ? undefined : celValue(schema, old) };
  const field = (path + rule.fieldPath).replace(/^\./, '') || '<nil>';
  try {
    if (compile(rule.rule)(variables) === true) return undefined;
  } catch (error) {
    return ruleError(schema, rule, field, `${messageOf(error).split(' > ')[0]} evaluating rule: ${rule.rule.trim()}`);
  }
  return ruleError(schema, rule, field, messageFor(rule, variables));
}

function messageFor(rule: Rule, variables: Json): string {
  const fallback = (rule.message ?? `failed rule: ${rule.rule}`).trim();
  if (rule.messageExpression === undefined) return fallback;
  try {
    const message: unknown = compile(rule.messageExpression)(variables);
    return typeof message === 'string' && message.trim() !== '' ? message.trim() : fallback;
  } catch {
    return fallback;
  }
}

function ruleError(schema: Schema, { reason }: Rule, field: string, detail: string): FieldError {
  // Kubernetes names the type in place of the value.
  const shown = `${JSON.stringify(schema.type)}: `;
  switch (reason) {
    case 'FieldValueForbidden':
      return { field, type: reason, body: `Forbidden: ${detail}` };
    case 'FieldValueRequired':
      return { field, type: reason, body: `Required value: ${detail}` };
    case 'FieldValueDuplicate':
      return { field, type: reason, body: `Duplicate value: ${shown}${detail}` };
    default:
      return { field, type: 'FieldValueInvalid', body: `Invalid value: ${shown}${detail}` };
  }
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
function celValue(schema: Schema | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => celValue(schema?.items, item));
  if (isJson(value)) {
    const entries = Object.entries(value).map(([name, child]) => {
      const property = schema?.properties.get(name);
      if (property) return [celName(name), celValue(property, child)];
      return [name, celValue(isJson(schema?.additional) ? (schema.additional as Schema) : undefined, child)];
    });
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number' && Number.isInteger(value) && schema?.type !== 'number') return BigInt(value);
  if (typeof value === 'string' && schema?.format === 'date-time') return new Date(value);
  return value;
}
