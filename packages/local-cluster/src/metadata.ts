import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, type Json } from './json.ts';
import type { Kind } from './kinds.ts';
import { patternFor } from './schema.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const service = '[a-z]([-a-z0-9]*[a-z0-9])?';

type Form = { readonly pattern: string; readonly max: number; readonly name: string };

const labelForm: Form = { pattern: label, max: 63, name: 'a lowercase RFC 1123 label' };
const serviceForm: Form = { pattern: service, max: 63, name: 'a DNS-1035 label' };
const subdomainForm: Form = { pattern: subdomain, max: 253, name: 'a lowercase RFC 1123 subdomain' };
const pathForm: Form = { pattern: '(?!\\.{1,2}$)[^/%]+', max: 253, name: 'a path segment' };
const keyForm: Form = { pattern: qualified, max: 63, name: 'the name part of a key' };
const valueForm: Form = { pattern: `(${qualified})?`, max: 63, name: 'a valid label' };

/** All annotations of an object together, as in Kubernetes. */
const annotationsSizeBytesMax = 256 * 1024;

/** What is wrong with the metadata that a client sent. */
export function checkMetadata(kind: Kind, metadata: Json): FieldError[] {
  const name = String(metadata.name ?? '');
  const annotations = asJson(metadata.annotations);
  const isOversized = Object.entries(annotations).join('').length > annotationsSizeBytesMax;
  return [
    ...(name === ''
      ? [fieldError.required('metadata.name', 'name or generateName is required')]
      : checkForm(nameFormOf(kind), name, 'metadata.name')),
    ...checkLabels(metadata.labels, 'metadata.labels'),
    ...Object.keys(annotations).flatMap((key) => checkKey(key.toLowerCase(), 'metadata.annotations')),
    ...checkOwners(metadata.ownerReferences),
    ...(isOversized ? [fieldError.tooLong('metadata.annotations', annotationsSizeBytesMax)] : []),
  ];
}

/** Without a uid it would be anybody of that name, or nobody. */
function checkOwners(ownerReferences: unknown): FieldError[] {
  const owners = Array.isArray(ownerReferences) ? ownerReferences.map(asJson) : [];
  const field = 'metadata.ownerReferences.uid';
  return owners.flatMap(({ uid = '' }) =>
    uid === '' ? [fieldError.invalid(field, uid, 'uid must not be empty')] : [],
  );
}

function nameFormOf(kind: Kind): Form {
  if (kind.group === 'rbac.authorization.k8s.io') return pathForm;
  if (kind.key === '/namespaces') return labelForm;
  return kind.key === '/services' ? serviceForm : subdomainForm;
}

export function checkLabels(labels: unknown, field: string): FieldError[] {
  return Object.entries(asJson(labels)).flatMap(([key, value]) => [
    ...checkKey(key, field),
    ...checkForm(valueForm, String(value), field),
  ]);
}

/** A key is a name, with or without a domain and a slash before it. */
function checkKey(key: string, field: string): FieldError[] {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? [] : checkForm(subdomainForm, key.slice(0, slash), field);
  return [...prefix, ...checkForm(keyForm, key.slice(slash + 1), field)];
}

function checkForm({ pattern, max, name }: Form, text: string, field: string): FieldError[] {
  if (text.length > max) return [fieldError.invalid(field, text, `must be no more than ${max} bytes`)];
  if (patternFor(`^(?:${pattern})$`).test(text)) return [];
  return [fieldError.invalid(field, text, `${name} must match the regex used for validation, '${pattern}'`)];
}
