import type { z } from 'zod';

/** A CEL rule of a CRD, as the API server takes it. */
export type Cel = {
  readonly rule: string;
  readonly message: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden';
};

/**
 * A rule in both its forms. CEL runs in the API server; `holds` is its twin for objects that predate the rule or live under
 * KServe's own CRDs. One table of samples tests both.
 */
export type Rule<Value> = {
  readonly path: string;
  readonly cel: Cel;
  /** `old` is the stored value on an update. */
  readonly holds: (value: Value, old?: Value) => boolean;
};

/** The rule as one of the whole object: the API server names no field then, so the message does. */
export function ofObject<Value>({ path, cel }: Rule<Value>): Cel {
  return { ...cel, message: `${path} ${cel.message}` };
}

/** `path: message` when `value` breaks the rule. */
export function brokenBy<Value>({ path, cel, holds }: Rule<Value>, value: Value, old?: Value): readonly string[] {
  return holds(value, old) ? [] : [`${path}: ${cel.message}`];
}

/** What a schema says against a spec, each with the field's path. */
export function issuesOf(error: z.ZodError): readonly string[] {
  return error.issues.map((issue) => `${['spec', ...issue.path].join('.')}: ${issue.message}`);
}
