import { type FieldError, fieldError } from './field-errors.ts';
import { asJson, type Json } from './json.ts';
import type { Kind } from './kinds.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

type Form = { readonly pattern: RegExp; readonly max: number; readonly message: string };

const labelForm: Form = {
  pattern: new RegExp(`^${label}$`),
  max: 63,
  message: `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
};
const serviceForm: Form = {
  pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
  max: 63,
  message:
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
};
const subdomainForm: Form = {
  pattern: new RegExp(`^${subdomain}$`),
  max: 253,
  message: `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
};
const pathForm: Form = { pattern: /^(?!\.{1,2}$)[^/%]+$/, max: 253, message: 'may not be a path' };
const labelKeyMessage = `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}')`;
const labelValueMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const keyPattern = new RegExp(`^(${subdomain}/)?${qualified}$`);
const valuePattern = new RegExp(`^(${qualified})?$`);
/** All annotations of an object together, as in Kubernetes. */
const annotationsSizeBytesMax = 256 * 1024;

function formOf(kind: Kind): Form {
  if (kind.group === 'rbac.authorization.k8s.io') return pathForm;
  if (kind.key === '/namespaces') return labelForm;
  if (kind.key === '/services') return serviceForm;
  return subdomainForm;
}

/** What is wrong with the metadata that a client sent. */
export function checkMetadata(kind: Kind, metadata: Json): FieldError[] {
  const errors: FieldError[] = [];
  const name = String(metadata.name ?? '');
  const form = formOf(kind);
  if (name === '') errors.push(fieldError.required('metadata.name', 'name or generateName is required'));
  else if (name.length > form.max) {
    errors.push(fieldError.invalid('metadata.name', name, `must be no more than ${form.max} bytes`));
  } else if (!form.pattern.test(name)) errors.push(fieldError.invalid('metadata.name', name, form.message));
  errors.push(...checkLabels(asJson(metadata.labels), 'metadata.labels'));
  const annotations = asJson(metadata.annotations);
  for (const key of Object.keys(annotations)) {
    if (!keyPattern.test(key.toLowerCase())) {
      errors.push(fieldError.invalid('metadata.annotations', key, labelKeyMessage));
    }
  }
  const sizeBytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + key.length + String(value).length,
    0,
  );
  if (sizeBytes > annotationsSizeBytesMax) {
    errors.push(fieldError.tooLong('metadata.annotations', annotationsSizeBytesMax));
  }
  return errors;
}

export function checkLabels(labels: Json, field: string): FieldError[] {
  return Object.entries(labels).flatMap(([key, value]) => {
    const errors: FieldError[] = [];
    const own = key.slice(key.indexOf('/') + 1);
    if (!keyPattern.test(key) || own.length > 63) errors.push(fieldError.invalid(field, key, labelKeyMessage));
    const text = String(value);
    if (text.length > 63) errors.push(fieldError.invalid(field, text, 'must be no more than 63 bytes'));
    if (!valuePattern.test(text)) errors.push(fieldError.invalid(field, text, labelValueMessage));
    return errors;
  });
}

export function isDnsLabel(name: string): boolean {
  return labelForm.pattern.test(name) && name.length <= labelForm.max;
}

export const dnsLabelMessage = labelForm.message;
