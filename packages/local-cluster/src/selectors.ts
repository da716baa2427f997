import type { KubeObject } from './api.ts';
import { valueAt } from './json.ts';
import { badRequest } from './status.ts';

export type Selector = (object: KubeObject) => boolean;

/** A label selector as in a query: `a=b,c!=d,e in (f,g),!h,i`. */
export function parseLabelSelector(text: string): Selector {
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  const tests = parts.filter((part) => part !== '').map((part) => parseRequirement(part, text));
  return ({ metadata: { labels = {} } }) => tests.every((test) => test(labels));
}

type Test = (labels: Readonly<Record<string, string>>) => boolean;

function parseRequirement(part: string, text: string): Test {
  const [, key = '', operator, list] = /^([^\s!=<>()]+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part) ?? [];
  if (list !== undefined) {
    const values = list.split(',').map((value) => value.trim());
    return (labels) => (labels[key] !== undefined && values.includes(labels[key])) === (operator === 'in');
  }
  const [, name = '', compared, wanted = ''] = /^([^\s!=<>()]+)\s*(==|=|!=|>|<)\s*([^\s=!<>()]*)$/.exec(part) ?? [];
  switch (compared) {
    case '!=':
      return (labels) => labels[name] !== wanted;
    case '>':
      return (labels) => Number(labels[name]) > Number(wanted);
    case '<':
      return (labels) => Number(labels[name]) < Number(wanted);
    case '=':
    case '==':
      return (labels) => labels[name] === wanted;
  }
  const [, not, plain] = /^(!?)\s*([^\s!=<>()]+)$/.exec(part) ?? [];
  if (plain !== undefined) return (labels) => (labels[plain] === undefined) === (not === '!');
  throw badRequest(`unable to parse requirement: found '${part}' in the label selector "${text}"`);
}

const involved = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];
const fieldsByKey: Readonly<Record<string, readonly string[]>> = {
  '/pods': ['status.phase', 'spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.podIP'],
  '/secrets': ['type'],
  '/namespaces': ['status.phase'],
  '/nodes': ['spec.unschedulable'],
  '/services': ['spec.clusterIP', 'spec.type'],
  'apps/replicasets': ['status.replicas'],
  '/events': [
    ...['type', 'reason', 'reportingComponent', 'source'],
    ...involved.flatMap((field) => [`involvedObject.${field}`, `regarding.${field}`]),
  ],
};

/** A field selector as in a query: `metadata.name=a,status.phase!=Running`; `key` is the store's of the kind. */
export function parseFieldSelector(key: string, text: string): Selector {
  const known = ['metadata.name', 'metadata.namespace', ...(fieldsByKey[key] ?? [])];
  const tests = text.split(',').map((part): Selector => {
    const [, field = '', operator, wanted = ''] = /^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part) ?? [];
    if (operator === undefined) throw badRequest(`invalid field selector: "${part}"; can't understand it`);
    if (!known.includes(field)) throw badRequest(`field label not supported: ${field}`);
    const path = field === 'source' ? 'source.component' : field.replace(/^regarding\./, 'involvedObject.');
    return (object) => (String(valueAt(object, path) ?? '') === wanted) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}
