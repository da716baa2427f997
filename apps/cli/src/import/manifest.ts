/** A Kubernetes object as it stands in a file. Only what was checked is typed. */
export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec?: unknown;
  readonly [field: string]: unknown;
};

type Metadata = {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
};

/** What a reader of the result has to know. A `problem` means that the object is not in the result. */
export type Note = {
  readonly severity: 'note' | 'problem';
  /** Kind, namespace and name: `Predictor default/iris`. */
  readonly object: string;
  /** The path of the field that the note is about: `spec.gpu`. */
  readonly field?: string | undefined;
  readonly message: string;
};

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function isManifest(value: unknown): value is Manifest {
  return (
    isRecord(value) &&
    typeof value.apiVersion === 'string' &&
    typeof value.kind === 'string' &&
    isRecord(value.metadata) &&
    typeof value.metadata.name === 'string' &&
    ['string', 'undefined'].includes(typeof value.metadata.namespace)
  );
}

export const groupOf = ({ apiVersion }: Manifest) => apiVersion.split('/').at(-2) ?? '';
export const namespaceOf = ({ metadata }: Manifest) => metadata.namespace ?? 'default';
export const titleOf = (manifest: Manifest) => `${manifest.kind} ${namespaceOf(manifest)}/${manifest.metadata.name}`;

/** Reads fields of an object by path and remembers which, so that no field can be lost without a word. */
export type Fields = {
  text(path: string): string | undefined;
  count(path: string): number | undefined;
  texts(path: string): readonly string[];
  has(path: string): boolean;
  /** Paths of all values below `root` that were not read; a list is one value. */
  unread(root: string): readonly string[];
};

export function fieldsOf(object: unknown): Fields {
  const read = new Set<string>();
  const at = (path: string) =>
    path.split('.').reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), object);
  function take<T>(path: string, is: (value: unknown) => value is T): T | undefined {
    const value = at(path);
    if (!is(value)) return undefined;
    read.add(path);
    return value;
  }
  return {
    text: (path) => take(path, isText),
    count: (path) => take(path, isCount),
    texts: (path) => take(path, isTexts) ?? [],
    has: (path) => at(path) !== undefined,
    unread: (root) => leavesOf(at(root), root).filter((path) => !read.has(path)),
  };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isCount = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

function leavesOf(value: unknown, path: string): string[] {
  if (value === undefined || value === null || value === '') return [];
  if (!isRecord(value)) return [path];
  const keys = Object.keys(value);
  return keys.length === 0 ? [path] : keys.flatMap((key) => leavesOf(value[key], `${path}.${key}`));
}
