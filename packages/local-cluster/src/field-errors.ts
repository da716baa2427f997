/** One thing wrong with a field. `body` is the message without the field's name, as in "Required value". */
export type FieldError = { readonly field: string; readonly type: string; readonly body: string };

const shown = (value: unknown) => JSON.stringify(value) ?? 'null';
const error = (type: string, field: string, body: string): FieldError => ({ field, type: `FieldValue${type}`, body });

/** Kubernetes' kinds of errors, in its words. */
export const fieldError = {
  required: (field: string, detail = '') => error('Required', field, `Required value${detail && `: ${detail}`}`),
  invalid: (field: string, value: unknown, detail: string) =>
    error('Invalid', field, `Invalid value: ${shown(value)}: ${detail}`),
  mistyped: (field: string, actual: string, detail: string) =>
    error('TypeInvalid', field, `Invalid value: ${shown(actual)}: ${detail}`),
  unsupported: (field: string, value: unknown, supported: readonly unknown[]) =>
    error(
      'NotSupported',
      field,
      `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
    ),
  forbidden: (field: string, detail: string) => error('Forbidden', field, `Forbidden: ${detail}`),
  missing: (field: string, value: unknown) => error('NotFound', field, `Not found: ${shown(value)}`),
  duplicate: (field: string, value: unknown) => error('Duplicate', field, `Duplicate value: ${shown(value)}`),
  tooLong: (field: string, max: number) => error('TooLong', field, `Too long: may not be more than ${max} bytes`),
  tooMany: (field: string, count: number, max: number) =>
    error('TooMany', field, `Too many: ${count}: must have at most ${max} items`),
};
