import type { Random } from '@roundhouse/base';
import { builtinRules } from './builtin-rules.ts';
import { checkRules } from './cel-rules.ts';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, isJson, type Json } from './json.ts';
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
  const { schema = {} } = version;
  const { fill, check } = builtinRules[kind.key] ?? {};
  if (!kind.custom) dropNulls(object);
  const unknown = kind.custom ? prune(schema, object).map((path) => `unknown field ${JSON.stringify(path)}`) : [];
  if (unknown.length > 0 && fieldValidation === 'Strict') {
    const what = `${kind.kind} in version "${version.name}" cannot be handled as a ${kind.kind}`;
    throw badRequest(`${what}: strict decoding error: ${unknown.join(', ')}`);
  }
  applyDefaults(schema, object);
  fill?.(object, random);
  const metadata = asJson(object.metadata);
  const errors = [
    ...checkMetadata(kind, metadata),
    ...(kind.custom && old && !metadata.resourceVersion ? [blindUpdate] : []),
    ...checkObject(schema, object, old),
    ...(check?.(object, old) ?? []),
  ];
  if (errors.length > 0) throw invalid(kind, String(metadata.name ?? ''), errors);
  return fieldValidation === 'Warn' ? unknown : [];
}

const blindUpdate = fieldError.invalid('metadata.resourceVersion', 0, 'must be specified for an update');

/** Kubernetes reads a null in its own kinds as an absent field. */
function dropNulls(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item);
  if (!isJson(value)) return;
  for (const [name, child] of Object.entries(value)) {
    if (child === null) delete value[name];
    else dropNulls(child);
  }
}

/** Failures after which a rule could stumble over what the schema promises. */
const blocking = /NotSupported|Required|TooLong|TooMany|TypeInvalid/;

function checkObject(schema: Schema, object: Json, old: Json | undefined): FieldError[] {
  const errors = checkSchema(schema, object, '');
  return errors.some(({ type }) => blocking.test(type)) ? errors : [...errors, ...checkRules(schema, object, old)];
}
