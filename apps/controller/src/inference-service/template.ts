/** What a template may name: fields of an InferenceService's metadata. */
export type TemplateData = {
  readonly fields: Readonly<Record<string, string | undefined>>;
  readonly labels: Readonly<Record<string, string | undefined>>;
  readonly annotations: Readonly<Record<string, string | undefined>>;
};

const expression = /\{\{-?\s*(?:\.(\w+)(?:\.([\w-]+))?|index\s+\.(\w+)\s+"([^"]*)")\s*-?\}\}/g;

/**
 * KServe's templates (`{{.Name}}`, `{{.Labels.key}}`, `{{index .Annotations "a.b/c"}}`) in a text. A key that is missing is the
 * empty string, as there; values are put in as they are, and braces that are none of these are left as they are.
 */
export function fillTemplate(text: string, { fields, labels, annotations }: TemplateData): string {
  return text.replaceAll(expression, (whole, field, key, map, index) => {
    const name = field ?? map;
    const item = key ?? index;
    if (name === 'Labels' && item !== undefined) return labels[item] ?? '';
    if (name === 'Annotations' && item !== undefined) return annotations[item] ?? '';
    return item === undefined && name in fields ? (fields[name] ?? '') : whole;
  });
}

/** `fillTemplate` in every string of a value. */
export function fillTemplates<T>(value: T, data: TemplateData): T {
  if (typeof value === 'string') return fillTemplate(value, data) as T;
  if (Array.isArray(value)) return value.map((item) => fillTemplates(item, data)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillTemplates(item, data)])) as T;
}
