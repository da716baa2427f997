import type { KubeObject } from './api.ts';
import { asJson, asList, type Json, jsons, valueAt } from './json.ts';

/** A column that `kubectl get` shows. */
export type Column = {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly priority: number;
  readonly description: string;
  readonly cell: (object: KubeObject, nowMs: number) => unknown;
};

type Cell = Column['cell'];

const text = (name: string, cell: Cell): Column => {
  return { name, type: 'string', format: '', priority: 0, description: '', cell };
};
const nameColumn: Column = { ...text('Name', ({ metadata }) => metadata.name), format: 'name' };
const ageColumn = text('Age', ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs));

/** The printer columns of a CustomResourceDefinition. */
export function customColumns(columns: readonly Json[]): readonly Column[] {
  if (columns.length === 0) return [nameColumn, ageColumn];
  const own = columns.map(({ name, type = 'string', format = '', priority = 0, description = '', jsonPath }) => {
    const find = jsonPathOf(String(jsonPath ?? ''));
    const cell: Cell = (object, nowMs) => {
      const found = find(object);
      const value = found.length > 1 && type === 'string' ? found.join(',') : found[0];
      if (type === 'date') return ageOf(value, nowMs);
      return typeof value === 'object' ? JSON.stringify(value) : value;
    };
    const fields = { type: String(type), format: String(format), description: String(description) };
    return { name: String(name), ...fields, priority: Number(priority), cell };
  });
  return [nameColumn, ...own];
}

/** The columns of a built-in kind: `Name`, `Name:type=JSONPath`, with `*` after the name of those that only `-o wide` shows. */
export function builtinColumns(key: string, columns: readonly unknown[]): readonly Column[] {
  if (columns.length === 0) return [nameColumn, ageColumn];
  return columns.map((column) => {
    const [, name = '', star, type = 'string', path] = /^(.+?)(\*)?(?::(\w+))?(?:=(.*))?$/.exec(String(column)) ?? [];
    const known = [nameColumn, ageColumn].find((one) => one.name === name && path === undefined);
    if (known) return known;
    const find = path === undefined ? undefined : jsonPathOf(path);
    const atPath: Cell = (object) => find?.(object).join(',') || (type === 'integer' ? 0 : '<none>');
    const integerAtPath: Cell = (object) => Number(atPath(object, 0));
    const cell = computed[`${key} ${name}`] ?? (type === 'integer' ? integerAtPath : atPath);
    return { ...text(name, cell), type, priority: star ? 1 : 0 };
  });
}

/** Cells that no path leads to, by the store's key and the column's name. */
const computed: Readonly<Record<string, Cell>> = {
  '/pods Ready': (pod) => {
    const ready = jsons(valueAt(pod, 'status.containerStatuses')).filter((status) => status.ready === true);
    return `${ready.length}/${jsons(valueAt(pod, 'spec.containers')).length}`;
  },
  '/pods Status': podStatus,
  '/pods Restarts': podRestarts,
  '/services Port(s)': (service) =>
    jsons(valueAt(service, 'spec.ports'))
      .map(({ port, protocol }) => `${port}/${protocol}`)
      .join(',') || '<none>',
  '/services Selector': (service) => selectorText(valueAt(service, 'spec.selector')) || '<none>',
  '/configmaps Data': ({ data, binaryData }) => Object.keys({ ...asJson(data), ...asJson(binaryData) }).length,
  '/secrets Data': ({ data }) => Object.keys(asJson(data)).length,
  '/events Last Seen': (event, nowMs) =>
    ageOf(event.lastTimestamp ?? event.deprecatedLastTimestamp ?? event.eventTime ?? event.firstTimestamp, nowMs),
  '/events Object': ({ involvedObject, regarding }) => {
    const { kind, name } = asJson(involvedObject ?? regarding);
    return `${String(kind ?? '').toLowerCase()}/${name}`;
  },
  'apps/deployments Ready': (object) =>
    `${valueAt(object, 'status.readyReplicas') ?? 0}/${valueAt(object, 'spec.replicas')}`,
  'apps/deployments Selector': (object) => selectorText(valueAt(object, 'spec.selector.matchLabels')) || '<none>',
  'apps/replicasets Selector': (object) => selectorText(valueAt(object, 'spec.selector.matchLabels')) || '<none>',
};

/** A Pod's state in one word, as kubectl shows it. */
function podStatus({ metadata, status }: KubeObject): string {
  if (metadata.deletionTimestamp) return 'Terminating';
  const reasons = jsons(asJson(status).containerStatuses).map(({ state }) => {
    const { waiting, terminated } = asJson(state);
    return asJson(waiting).reason ?? asJson(terminated).reason;
  });
  return String(reasons.find((reason) => reason !== undefined) ?? asJson(status).phase ?? 'Unknown');
}

function podRestarts(pod: KubeObject, nowMs: number): string {
  const statuses = jsons(valueAt(pod, 'status.containerStatuses'));
  const restarts = statuses.reduce((sum, { restartCount }) => sum + Number(restartCount ?? 0), 0);
  const ends = statuses.map((status) => String(valueAt(status, 'lastState.terminated.finishedAt') ?? ''));
  const last = ends.sort().at(-1);
  return restarts > 0 && last ? `${restarts} (${ageOf(last, nowMs)} ago)` : String(restarts);
}

/** Labels as a selector's text: `a=b,c=d`. */
export function selectorText(labels: unknown): string {
  const entries = Object.entries(asJson(labels));
  return entries.map(([key, value]) => `${key}=${value}`).join(',');
}

type Step = (values: readonly unknown[]) => readonly unknown[];

/** The part of JSONPath that printer columns use: fields, indices, `[*]` and `[?(@.field=="value")]`. */
function jsonPathOf(path: string): (object: unknown) => readonly unknown[] {
  const steps: Step[] = [];
  const pattern =
    /\.?\[\?\(@\.([^=\s]+)\s*==\s*["']([^"']*)["']\)\]|\.?\[['"]([^'"]+)['"]\]|\.?\[(\*|-?\d+)\]|\.((?:\\.|[^.[\]\\])+)/g;
  const rest = path.replace(/^\{|\}$/g, '').replaceAll(pattern, (_all, field, wanted, quoted, index, name) => {
    const key: string = quoted ?? name?.replaceAll(/\\(.)/g, '$1');
    if (field !== undefined)
      steps.push((values) => values.flatMap(asList).filter((item) => String(asJson(item)[field]) === wanted));
    else if (index === '*') steps.push((values) => values.flatMap(asList));
    else if (index !== undefined) steps.push((values) => values.map((value) => asList(value).at(Number(index))));
    else steps.push((values) => values.map((value) => asJson(value)[key]));
    return '';
  });
  if (rest.trim() !== '' && rest.trim() !== '$') return () => [];
  return (object) =>
    steps.reduce<readonly unknown[]>((values, step) => step(values), [object]).filter((value) => value != null);
}

/** Time since a timestamp as kubectl writes it: `45s`, `3m20s`, `5h`, `12d`. */
function ageOf(value: unknown, nowMs: number): string {
  const then = Date.parse(String(value));
  if (Number.isNaN(then)) return value === undefined ? '<none>' : '<invalid>';
  const seconds = Math.max(0, Math.floor((nowMs - then) / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const both = (large: string, rest: number, unit: string) => (rest === 0 ? large : `${large}${rest}${unit}`);
  if (seconds < 120) return `${seconds}s`;
  if (minutes < 10) return both(`${minutes}m`, seconds % 60, 's');
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return both(`${hours}h`, minutes % 60, 'm');
  if (days < 2) return `${hours}h`;
  return days < 8 ? both(`${days}d`, hours % 24, 'h') : `${days}d`;
}

type TableOptions = {
  /** What each row has of its object: `None`, `Metadata` or all of the `Object`. */
  readonly include: string;
  readonly nowMs: number;
  readonly withColumns: boolean;
  readonly metadata: Json;
};

/** A `meta.k8s.io/v1` Table of the objects. */
export function tableOf(columns: readonly Column[], objects: readonly KubeObject[], options: TableOptions): Json {
  const { include, nowMs, withColumns, metadata } = options;
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? columns.map(({ cell: _cell, ...definition }) => definition) : null,
    rows: objects.map((object) => ({
      cells: columns.map(({ cell }) => cell(object, nowMs) ?? null),
      ...(include !== 'None' && { object: include === 'Object' ? object : partial(object) }),
    })),
  };
}

export function partial({ metadata }: KubeObject): Json {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}
