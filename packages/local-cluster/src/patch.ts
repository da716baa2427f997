import { applyPatch, type Operation } from 'rfc6902';
import { ApiError } from './api.ts';
import { asJson, asList, copyOf, isJson, type Json } from './json.ts';
import { badRequest } from './status.ts';

/** RFC 7386. Gives a new value and leaves its arguments alone. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJson(patch)) return patch;
  const merged: Json = { ...asJson(target) };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

/** RFC 6902. Gives a new value and leaves its arguments alone. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  // The document is a field of another one, so that an operation may replace all of it.
  const holder = { document: copyOf(target) };
  const inHolder = (pointer: unknown) => (pointer === undefined ? undefined : `/document${pointer}`);
  const operations = patch.map((one) => ({ ...one, path: inHolder(one?.path), from: inHolder(one?.from) }));
  const failed = applyPatch(holder, operations as Operation[]).find((result) => result !== null);
  if (failed === undefined) return holder.document;
  const why = failed.message.replaceAll('/document', '');
  throw new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`);
}

const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  volumes: 'name',
  imagePullSecrets: 'name',
  volumeMounts: 'mountPath',
  hostAliases: 'ip',
  topologySpreadConstraints: 'topologyKey',
  conditions: 'type',
  ownerReferences: 'uid',
  secrets: 'name',
  addresses: 'type',
};

/** By which field the items of a built-in kind's list are merged; undefined where a list is replaced as a whole. */
function mergeKeyOf(field: string, parent: string): string | undefined {
  if (field === 'ports') return /containers$/i.test(parent) ? 'containerPort' : 'port';
  return mergeKeys[field];
}

/** Kubernetes' strategic merge patch, for built-in kinds. `parent` is the field that holds the target. */
export function strategicPatch(target: unknown, patch: Json, parent = ''): Json {
  const { $patch, $retainKeys, ...changes } = patch;
  const before = $patch === 'replace' ? {} : asJson(target);
  const isRetained = (name: string) => $retainKeys === undefined || asList($retainKeys).includes(name);
  const merged: Json = Object.fromEntries(Object.entries(before).filter(([name]) => isRetained(name)));
  const orders: (readonly [field: string, order: readonly unknown[]])[] = [];
  for (const [name, value] of Object.entries(changes)) {
    const [, directive, field = ''] = /^\$(setElementOrder|deleteFromPrimitiveList)\/(.+)$/.exec(name) ?? [];
    if (directive === 'setElementOrder') orders.push([field, asList(value)]);
    else if (directive !== undefined)
      merged[field] = asList(merged[field]).filter((one) => !asList(value).includes(one));
    else if (value === null || asJson(value).$patch === 'delete') delete merged[name];
    else if (Array.isArray(value)) merged[name] = mergedList(asList(merged[name]), value, name, parent);
    else merged[name] = isJson(value) ? strategicPatch(merged[name], value, name) : value;
  }
  // The order is set last, when all items are there.
  for (const [field, order] of orders) {
    const key = mergeKeyOf(field, parent);
    if (Array.isArray(merged[field])) merged[field] = inOrder(merged[field], order, asList(before[field]), key);
  }
  return merged;
}

function mergedList(current: readonly unknown[], patch: readonly unknown[], field: string, parent: string): unknown[] {
  if (field === 'finalizers') return [...new Set([...current, ...patch])];
  const key = mergeKeyOf(field, parent);
  if (key === undefined || !patch.every(isJson)) return [...patch];
  const isReplaced = patch.some((item) => item.$patch === 'replace' && item[key] === undefined);
  const merged = isReplaced ? [] : [...current];
  for (const item of patch.filter((one) => one[key] !== undefined)) {
    const found = merged.findIndex((other) => asJson(other)[key] === item[key]);
    const index = found < 0 ? merged.length : found;
    if (item.$patch === 'delete') merged.splice(index, 1);
    else merged[index] = strategicPatch(merged[index], item, field);
  }
  return merged;
}

/** Items named by `order` in that order; the others keep their place relative to what was there before. */
function inOrder(
  items: readonly unknown[],
  order: readonly unknown[],
  before: readonly unknown[],
  key: string | undefined,
): unknown[] {
  const idOf = (item: unknown) => (key === undefined || !isJson(item) ? item : item[key]);
  const [wanted, old] = [order.map(idOf), before.map(idOf)];
  const named = items.filter((item) => wanted.includes(idOf(item)));
  const others = items.filter((item) => !wanted.includes(idOf(item)));
  const sorted = named.toSorted((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  return [
    ...sorted.flatMap((item) => {
      const isEarlier = (other: unknown) => old.indexOf(idOf(other)) < old.indexOf(idOf(item));
      const count = others.findIndex((other) => !isEarlier(other));
      return [...others.splice(0, count < 0 ? others.length : count), item];
    }),
    ...others,
  ];
}
