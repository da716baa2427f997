import { compileProblem, rulesIn } from './cel-rules.ts';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, asList, isJson, type Json, jsons } from './json.ts';
import type { Schema } from './schema.ts';

/** Keeps a CustomResourceDefinition until its objects are gone. */
export const definitionFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export function fillDefinition(object: Json): void {
  const spec = asJson(object.spec);
  const names = asJson(spec.names);
  names.singular ??= String(names.kind).toLowerCase();
  names.listKind ??= `${names.kind}List`;
  spec.conversion ??= { strategy: 'None' };
}

export function checkDefinition(object: Json): FieldError[] {
  const { group, names, scope, versions } = asJson(object.spec);
  const { plural, kind } = asJson(names);
  const { name } = asJson(object.metadata);
  const errors: FieldError[] = [];
  if (name !== `${plural}.${group}`) {
    errors.push(fieldError.invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (!plural) errors.push(fieldError.required('spec.names.plural'));
  if (!kind) errors.push(fieldError.required('spec.names.kind'));
  if (scope !== 'Namespaced' && scope !== 'Cluster') {
    errors.push(fieldError.unsupported('spec.scope', scope ?? '', ['Cluster', 'Namespaced']));
  }
  if (jsons(versions).filter(({ storage }) => storage === true).length !== 1) {
    const why = 'must have exactly one version marked as storage version';
    errors.push(fieldError.invalid('spec.versions', 'versions', why));
  }
  const checked = jsons(versions).flatMap((version, index) => {
    const field = `spec.versions[${index}].schema.openAPIV3Schema`;
    const schema = asJson(version.schema).openAPIV3Schema;
    return isJson(schema) ? checkStructure(schema, field) : [fieldError.required(field, 'schemas are required')];
  });
  return [...errors, ...checked];
}

/** That the schema is structural, and that its rules compile. */
function checkStructure(schema: Schema, field: string): FieldError[] {
  const { type, properties, items, additionalProperties } = schema;
  const isAny = schema['x-kubernetes-int-or-string'] ?? schema['x-kubernetes-preserve-unknown-fields'];
  const errors: FieldError[] = [];
  if (!type && isAny !== true) {
    errors.push(fieldError.required(`${field}.type`, 'must not be empty for specified object fields'));
  }
  if (type === 'array' && !isJson(items)) errors.push(fieldError.required(`${field}.items`));
  for (const [index, { rule }] of rulesIn(schema).entries()) {
    const problem = compileProblem(String(rule));
    const at = `${field}.x-kubernetes-validations[${index}].rule`;
    if (problem !== undefined) errors.push(fieldError.invalid(at, rule, `compilation failed: ${problem}`));
  }
  for (const [name, child] of Object.entries(asJson(properties))) {
    errors.push(...checkStructure(asJson(child), `${field}.properties[${name}]`));
  }
  if (isJson(items)) errors.push(...checkStructure(items, `${field}.items`));
  if (isJson(additionalProperties))
    errors.push(...checkStructure(additionalProperties, `${field}.additionalProperties`));
  return errors;
}

/** A definition is established as soon as it is accepted: there is one API server. */
export function establishedStatus(object: Json, now: string): Json {
  const { names, versions } = asJson(object.spec);
  const before = asJson(object.status);
  const storage = jsons(versions).find((version) => version.storage === true)?.name;
  const condition = (type: string, reason: string, message: string) => {
    const known = jsons(before.conditions).find((one) => one.type === type && one.status === 'True');
    return { type, status: 'True', reason, message, lastTransitionTime: known?.lastTransitionTime ?? now };
  };
  return {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: names,
    storedVersions: [...new Set([...asList(before.storedVersions), storage])],
  };
}
