import type { Random } from '@roundhouse/base';
import { builtinRules } from './builtin-rules.ts';
import { checkRules } from './cel-rules.ts';
import { checkDefinition, fillDefinition } from './definitions.ts';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, type Json } from './json.ts';
import type { Kind, KindVersion } from './kinds.ts';
import { checkMetadata } from './metadata.ts';
import { applyDefaults, checkSchema, prune, type Schema } from './schema.ts';
import { badRequest, invalid } from './status.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** What the API server makes of an object before it stores it; throws when it must not be stored. Gives warnings. */
export function admit(
  kind: Kind,
  version: KindVersion,
  object: Json,
  old: Json | undefined,
  { random, fieldValidation }: { readonly random: Random; readonly fieldValidation: FieldValidation },
): readonly string[] {
  const { schema } = version;
  const warnings = schema ? pruneUnknown(kind, version, schema, object, fieldValidation) : [];
  if (schema) applyDefaults(schema, object);
  const rules = rulesOf(kind);
  rules?.fill?.(object, random);
  const errors: FieldError[] = checkMetadata(kind, asJson(object.metadata));
  if (rules?.check) errors.push(...rules.check(object, old));
  if (schema) errors.push(...checkCustom(schema, object, old));
  if (errors.length > 0) throw invalid(kind, String(asJson(object.metadata).name ?? ''), errors);
  return warnings;
}

export function rulesOf(kind: Kind) {
  if (kind.key === 'apiextensions.k8s.io/customresourcedefinitions') {
    return { fill: fillDefinition, check: checkDefinition, hasGeneration: true as const };
  }
  return builtinRules[kind.key];
}

function pruneUnknown(
  kind: Kind,
  version: KindVersion,
  schema: Schema,
  object: Json,
  fieldValidation: FieldValidation,
): readonly string[] {
  const unknown = prune(schema, object).map((path) => `unknown field ${JSON.stringify(path)}`);
  if (unknown.length === 0 || fieldValidation === 'Ignore') return [];
  if (fieldValidation === 'Warn') return unknown;
  const what = `${kind.kind} in version "${version.name}" cannot be handled as a ${kind.kind}`;
  throw badRequest(`${what}: strict decoding error: ${unknown.join(', ')}`);
}

/** Failures after which a rule could stumble over what the schema promises. */
const blocking: readonly string[] = [
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
];

function checkCustom(schema: Schema, object: Json, old: Json | undefined): FieldError[] {
  const errors = checkSchema(schema, object, '');
  if (old && !asJson(object.metadata).resourceVersion) {
    errors.push(fieldError.invalid('metadata.resourceVersion', 0, 'must be specified for an update'));
  }
  if (!schema.hasRules) return errors;
  if (!errors.some(({ type }) => blocking.includes(type))) return [...errors, ...checkRules(schema, object, old)];
  const unasked =
    'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  return [...errors, fieldError.invalid('<nil>', null, unasked)];
}
