/** One thing wrong with a field. `body` is the message without the field's name, as in "Required value". */
export type FieldError = { readonly field: string; readonly type: string; readonly body: string };

export const fieldError = {
  required: (field: string, detail = ''): FieldError => ({
    field,
    type: 'FieldValueRequired',
    body: detail === '' ? 'Required value' : `Required value: ${detail}`,
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    field,
    type: 'FieldValueInvalid',
    body: `Invalid value: ${shown(value)}: ${detail}`,
  }),
  mistyped: (field: string, actual: string, detail: string): FieldError => ({
    field,
    type: 'FieldValueTypeInvalid',
    body: `Invalid value: ${shown(actual)}: ${detail}`,
  }),
  unsupported: (field: string, value: unknown, supported: readonly unknown[]): FieldError => ({
    field,
    type: 'FieldValueNotSupported',
    body: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    field,
    type: 'FieldValueForbidden',
    body: `Forbidden: ${detail}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    field,
    type: 'FieldValueDuplicate',
    body: `Duplicate value: ${shown(value)}`,
  }),
  tooLong: (field: string, max: number): FieldError => ({
    field,
    type: 'FieldValueTooLong',
    body: `Too long: may not be more than ${max} bytes`,
  }),
  tooMany: (field: string, count: number, max: number): FieldError => ({
    field,
    type: 'FieldValueTooMany',
    body: `Too many: ${count}: must have at most ${max} items`,
  }),
};

function shown(value: unknown): string {
  return JSON.stringify(value) ?? 'null';
}
