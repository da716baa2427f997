import { compileProblem } from './cel-rules.ts';
import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, asList, isJson, type Json } from './json.ts';

/** Keeps a CustomResourceDefinition until its objects are gone. */
export const definitionFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

const jsons = (value: unknown): Json[] => asList(value).filter(isJson);

export function fillDefinition(object: Json): void {
  const spec = asJson(object.spec);
  const names = asJson(spec.names);
  if (typeof names.kind === 'string') {
    names.singular ??= names.kind.toLowerCase();
    names.listKind ??= `${names.kind}List`;
  }
  spec.conversion ??= { strategy: 'None' };
}

export function checkDefinition(object: Json): FieldError[] {
  const spec = asJson(object.spec);
  const names = asJson(spec.names);
  const name = asJson(object.metadata).name;
  const errors: FieldError[] = [];
  const wanted = `${names.plural}.${spec.group}`;
  if (name !== wanted) {
    errors.push(fieldError.invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  }
  for (const field of ['plural', 'kind']) if (!names[field]) errors.push(fieldError.required(`spec.names.${field}`));
  if (!['Namespaced', 'Cluster'].includes(String(spec.scope))) {
    errors.push(fieldError.unsupported('spec.scope', spec.scope ?? '', ['Cluster', 'Namespaced']));
  }
  const versions = jsons(spec.versions);
  if (versions.filter((version) => version.storage === true).length !== 1) {
    errors.push(
      fieldError.invalid('spec.versions', 'versions', 'must have exactly one version marked as storage version'),
    );
  }
  for (const [index, version] of versions.entries()) {
    const field = `spec.versions[${index}].schema.openAPIV3Schema`;
    const schema = asJson(version.schema).openAPIV3Schema;
    if (!isJson(schema)) errors.push(fieldError.required(field, 'schemas are required'));
    else errors.push(...checkStructure(schema, field));
  }
  return errors;
}

/** That the schema is structural, and that its rules compile. */
function checkStructure(schema: Json, field: string): FieldError[] {
  const errors: FieldError[] = [];
  const isAny =
    schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (!schema.type && !isAny) {
    errors.push(fieldError.required(`${field}.type`, 'must not be empty for specified object fields'));
  }
  if (schema.type === 'array' && !isJson(schema.items)) errors.push(fieldError.required(`${field}.items`));
  for (const [index, rule] of jsons(schema['x-kubernetes-validations']).entries()) {
    const problem = compileProblem(String(rule.rule));
    if (problem === undefined) continue;
    const at = `${field}.x-kubernetes-validations[${index}].rule`;
    errors.push(fieldError.invalid(at, rule.rule, `compilation failed: ${problem}`));
  }
  for (const [name, child] of Object.entries(asJson(schema.properties))) {
    errors.push(...checkStructure(asJson(child), `${field}.properties[${name}]`));
  }
  if (isJson(schema.items)) errors.push(...checkStructure(schema.items, `${field}.items`));
  if (isJson(schema.additionalProperties)) {
    errors.push(...checkStructure(schema.additionalProperties, `${field}.additionalProperties`));
  }
  return errors;
}

/** A definition is established as soon as it is accepted: there is one API server. */
export function establishedStatus(object: Json, now: string): Json {
  const spec = asJson(object.spec);
  const before = asJson(object.status);
  const storage = jsons(spec.versions).find((version) => version.storage === true)?.name;
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    reason,
    message,
    lastTransitionTime:
      jsons(before.conditions).find((known) => known.type === type && known.status === 'True')?.lastTransitionTime ??
      now,
  });
  return {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: spec.names,
    storedVersions: [...new Set([...asList(before.storedVersions), storage])],
  };
}
