import type { KubeObject } from './api.ts';
import { builtinColumns } from './builtin-columns.ts';
import { ageOf } from './columns.ts';
import type { Json } from './json.ts';
import type { Column, Kind, KindVersion } from './kinds.ts';

const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  priority: 0,
  description: 'Name must be unique within a namespace.',
  cell: (object) => object.metadata.name,
};
const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  priority: 0,
  description: 'When the object was created.',
  cell: (object, nowMs) => ageOf(object.metadata.creationTimestamp, nowMs),
};

/** The columns that `kubectl get` shows of a kind. */
export function columnsFor(kind: Kind, version: KindVersion): readonly Column[] {
  const own = version.columns ?? builtinColumns[kind.key];
  if (!own || own.length === 0) return [nameColumn, ageColumn];
  return kind.custom ? [nameColumn, ...own] : own;
}

type TableOptions = {
  readonly include: string;
  readonly nowMs: number;
  readonly withColumns: boolean;
  readonly metadata: Json;
};

/** A `meta.k8s.io/v1` Table of the objects. */
export function tableOf(columns: readonly Column[], objects: readonly KubeObject[], options: TableOptions): Json {
  const { include, nowMs, withColumns, metadata } = options;
  const shown = (object: KubeObject) => {
    if (include === 'None') return {};
    return { object: include === 'Object' ? object : partial(object) };
  };
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns
      ? columns.map(({ name, type, format = '', description, priority }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: columns.map(({ cell }) => cell(object, nowMs) ?? null),
      ...shown(object),
    })),
  };
}

export function partial({ metadata }: KubeObject): Json {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
}
