import type { KubeObject } from './api.ts';
import { asJson, asList, isJson } from './json.ts';
import type { Column } from './kinds.ts';

/** The printer columns of a CustomResourceDefinition. */
export function customColumns(columns: readonly unknown[]): readonly Column[] {
  return columns.filter(isJson).map((column) => {
    const find = jsonPath(String(column.jsonPath ?? ''));
    const type = String(column.type ?? 'string');
    return {
      name: String(column.name),
      type,
      format: String(column.format ?? ''),
      priority: Number(column.priority ?? 0),
      description: String(column.description ?? ''),
      cell: (object: KubeObject, nowMs: number) => {
        const found = find(object);
        const value = found.length > 1 && type === 'string' ? found.join(',') : found[0];
        return type === 'date'
          ? ageOf(value, nowMs)
          : isJson(value) || Array.isArray(value)
            ? JSON.stringify(value)
            : value;
      },
    };
  });
}

type Step = (values: readonly unknown[]) => readonly unknown[];

/** The part of JSONPath that printer columns use: fields, indices, `[*]` and `[?(@.field=="value")]`. */
export function jsonPath(path: string): (object: unknown) => readonly unknown[] {
  const steps: Step[] = [];
  const pattern =
    /\.?\[\?\(@\.([^=\s]+)\s*==\s*["']([^"']*)["']\)\]|\.?\[['"]([^'"]+)['"]\]|\.?\[(\*|-?\d+)\]|\.((?:\\.|[^.[\]\\])+)/g;
  const rest = path.replace(/^\{|\}$/g, '').replaceAll(pattern, (_all, field, wanted, quoted, index, name) => {
    if (field !== undefined) {
      steps.push((values) => values.flatMap(asList).filter((item) => String(asJson(item)[field]) === wanted));
    } else if (index === '*') steps.push((values) => values.flatMap((value) => asList(value)));
    else if (index !== undefined) steps.push((values) => values.map((value) => asList(value).at(Number(index))));
    else {
      const key: string = quoted ?? name.replaceAll(/\\(.)/g, '$1');
      steps.push((values) => values.map((value) => asJson(value)[key]));
    }
    return '';
  });
  if (rest.trim() !== '' && rest.trim() !== '$') return () => [];
  return (object) =>
    steps
      .reduce<readonly unknown[]>((values, step) => step(values), [object])
      .filter((v) => v !== undefined && v !== null);
}

/** Time since a timestamp as kubectl writes it: `45s`, `3m20s`, `5h`, `12d`. */
export function ageOf(value: unknown, nowMs: number): string {
  const then = Date.parse(String(value));
  if (Number.isNaN(then)) return value === undefined ? '<none>' : '<invalid>';
  const seconds = Math.floor((nowMs - then) / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 120) return `${Math.max(0, seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 && days % 365 !== 0 ? `${years}y${days % 365}d` : `${years}y`;
}
