import type { KubeObject } from './api.ts';
import { asJson, valueAt } from './json.ts';
import type { Kind } from './kinds.ts';
import { badRequest } from './status.ts';

export type Selector = (object: KubeObject) => boolean;

type Test = (value: string | undefined) => boolean;

/** A label selector as in a query: `a=b,c!=d,e in (f,g),!h,i`. */
export function parseLabelSelector(text: string): Selector {
  const tests = splitOutsideParentheses(text).map((part) => parseRequirement(part.trim(), text));
  return (object) => {
    const labels = object.metadata.labels ?? {};
    return tests.every(({ key, test }) => test(labels[key]));
  };
}

function parseRequirement(part: string, text: string): { readonly key: string; readonly test: Test } {
  const among = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part);
  if (among) {
    const [, key = '', operator, list = ''] = among;
    const values = list.split(',').map((value) => value.trim());
    const isIn: Test = (value) => value !== undefined && values.includes(value);
    return { key, test: operator === 'in' ? isIn : (value) => !isIn(value) };
  }
  const compared = /^([^\s!=<>()]+)\s*(==|=|!=|>|<)\s*([^\s=!<>()]*)$/.exec(part);
  if (compared) {
    const [, key = '', operator, wanted = ''] = compared;
    if (operator === '!=') return { key, test: (value) => value !== wanted };
    if (operator === '>') return { key, test: (value) => value !== undefined && Number(value) > Number(wanted) };
    if (operator === '<') return { key, test: (value) => value !== undefined && Number(value) < Number(wanted) };
    return { key, test: (value) => value === wanted };
  }
  const absent = /^!\s*([^\s!=<>()]+)$/.exec(part);
  if (absent) return { key: absent[1] ?? '', test: (value) => value === undefined };
  if (/^[^\s!=<>()]+$/.test(part)) return { key: part, test: (value) => value !== undefined };
  throw badRequest(`unable to parse requirement: found '${part}' in the label selector "${text}"`);
}

function splitOutsideParentheses(text: string): string[] {
  return text.split(/,(?![^(]*\))/).filter((part) => part.trim() !== '');
}

const fieldsByKey: Readonly<Record<string, readonly string[]>> = {
  '/pods': ['status.phase', 'spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.podIP'],
  '/secrets': ['type'],
  '/namespaces': ['status.phase'],
  '/nodes': ['spec.unschedulable'],
  '/services': ['spec.clusterIP', 'spec.type'],
  'apps/replicasets': ['status.replicas'],
  '/events': ['type', 'reason', 'reportingComponent', 'source'].concat(
    ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].flatMap((field) => [
      `involvedObject.${field}`,
      `regarding.${field}`,
    ]),
  ),
};

/** A field selector as in a query: `metadata.name=a,status.phase!=Running`. */
export function parseFieldSelector(kind: Kind, text: string): Selector {
  const known = ['metadata.name', 'metadata.namespace', ...(fieldsByKey[kind.key] ?? [])];
  const tests = text.split(',').map((part) => {
    const [, field = '', operator, wanted = ''] = /^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part) ?? [];
    if (operator === undefined) throw badRequest(`invalid field selector: "${part}"; can't understand it`);
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
    const path = field === 'source' ? 'source.component' : field.replace(/^regarding\./, 'involvedObject.');
    return (object: KubeObject) => (String(valueAt(object, path) ?? '') === wanted) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}

/** Whether the labels satisfy a `matchLabels`/`matchExpressions` selector. */
export function matchesSelector(selector: unknown, labels: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(asJson(asJson(selector).matchLabels)).every(([key, value]) => labels[key] === value);
}
