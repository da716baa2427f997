import { ApiError } from './api.ts';
import { asJson, asList, copyOf, isJson, type Json, same } from './json.ts';
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

function rejected(why: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`);
}

/** RFC 6902. */
export function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  return patch.reduce((document, operation) => applyOperation(document, asJson(operation)), copyOf(target));
}

function applyOperation(document: unknown, { op, path, from, value }: Json): unknown {
  const at = pointer(path);
  switch (op) {
    case 'add':
      return placed(document, at, value, true);
    case 'replace':
      found(document, at);
      return placed(document, at, value, false);
    case 'remove':
      return removed(document, at);
    case 'test':
      if (!same(found(document, at), value)) throw rejected(`testing value ${path} failed`);
      return document;
    case 'copy':
      return placed(document, at, copyOf(found(document, pointer(from))), true);
    case 'move': {
      const moved = found(document, pointer(from));
      return placed(removed(document, pointer(from)), at, moved, true);
    }
    default:
      throw badRequest(`unknown operation in a JSON patch: ${JSON.stringify(op)}`);
  }
}

function pointer(path: unknown): readonly string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/')))
    throw badRequest(`not a JSON pointer: ${path}`);
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function found(document: unknown, path: readonly string[]): unknown {
  let current = document;
  for (const part of path) {
    const next = Array.isArray(current) ? current[Number(part)] : isJson(current) ? current[part] : undefined;
    if (next === undefined) throw rejected(`the path /${path.join('/')} does not exist`);
    current = next;
  }
  return current;
}

function placed(document: unknown, path: readonly string[], value: unknown, isInsert: boolean): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = found(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    if (!Number.isInteger(index) || index < 0 || index > parent.length) throw rejected(`no index ${last} in a list`);
    parent.splice(index, isInsert ? 0 : 1, value);
  } else if (isJson(parent)) parent[last] = value;
  else throw rejected(`the path /${path.join('/')} does not exist`);
  return document;
}

function removed(document: unknown, path: readonly string[]): unknown {
  found(document, path);
  const parent = found(document, path.slice(0, -1));
  const last = path.at(-1) ?? '';
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete asJson(parent)[last];
  return document;
}

const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  volumes: 'name',
  imagePullSecrets: 'name',
  resourceClaims: 'name',
  schedulingGates: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  hostAliases: 'ip',
  podIPs: 'ip',
  hostIPs: 'ip',
  topologySpreadConstraints: 'topologyKey',
  conditions: 'type',
  ownerReferences: 'uid',
  secrets: 'name',
  addresses: 'type',
};
const containerLists: readonly string[] = ['containers', 'initContainers', 'ephemeralContainers'];

/** By which field the items of a built-in kind's list are merged; undefined where a list is replaced as a whole. */
function mergeKeyOf(field: string, parent: string): string | undefined {
  if (field === 'ports') return containerLists.includes(parent) ? 'containerPort' : 'port';
  return mergeKeys[field];
}

/** Kubernetes' strategic merge patch, for built-in kinds. `parent` is the field that holds the target. */
export function strategicPatch(target: unknown, patch: Json, parent = ''): Json {
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  if (patch.$patch === 'delete') return {};
  const retained = patch.$retainKeys === undefined ? undefined : asList(patch.$retainKeys);
  const merged: Json = Object.fromEntries(
    Object.entries(asJson(target)).filter(([name]) => retained === undefined || retained.includes(name)),
  );
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) {
      applyListDirective(merged, name, value, parent);
    } else if (value === null) delete merged[name];
    else if (Array.isArray(value)) merged[name] = mergedList(asList(merged[name]), value, name, parent);
    else if (isJson(value)) {
      if (value.$patch === 'delete') delete merged[name];
      else merged[name] = strategicPatch(merged[name], value, name);
    } else merged[name] = value;
  }
  // The order is set last, when all items are there.
  for (const [name, order] of Object.entries(patch)) {
    const field = /^\$setElementOrder\/(.+)$/.exec(name)?.[1];
    if (field === undefined || !Array.isArray(merged[field])) continue;
    merged[field] = inOrder(merged[field], asList(order), asList(asJson(target)[field]), mergeKeyOf(field, parent));
  }
  return merged;
}

function applyListDirective(merged: Json, directive: string, value: unknown, _parent: string): void {
  const field = /^\$deleteFromPrimitiveList\/(.+)$/.exec(directive)?.[1];
  if (field !== undefined) merged[field] = asList(merged[field]).filter((item) => !asList(value).includes(item));
}

function withoutDirectives(value: unknown): Json {
  const entries = Object.entries(asJson(value)).filter(([name]) => !name.startsWith('$'));
  return Object.fromEntries(entries.map(([name, child]) => [name, isJson(child) ? withoutDirectives(child) : child]));
}

function mergedList(current: readonly unknown[], patch: readonly unknown[], field: string, parent: string): unknown[] {
  if (field === 'finalizers') return [...new Set([...current, ...patch])];
  const key = mergeKeyOf(field, parent);
  if (key === undefined || !patch.every(isJson)) return [...patch];
  const isReplaced = patch.some((item) => item.$patch === 'replace' && item[key] === undefined);
  const merged = isReplaced ? [] : [...current];
  for (const item of patch) {
    if (item[key] === undefined) continue;
    const index = merged.findIndex((other) => asJson(other)[key] === item[key]);
    if (item.$patch === 'delete') {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(strategicPatch({}, item, field));
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
  const wanted = order.map(idOf);
  const old = before.map(idOf);
  const named = items
    .filter((item) => wanted.includes(idOf(item)))
    .sort((a, b) => wanted.indexOf(idOf(a)) - wanted.indexOf(idOf(b)));
  const others = items.filter((item) => !wanted.includes(idOf(item)));
  const sorted: unknown[] = [];
  for (const item of named) {
    const place = old.indexOf(idOf(item));
    while (place >= 0 && others.length > 0 && old.indexOf(idOf(others[0])) < place) sorted.push(others.shift());
    sorted.push(item);
  }
  return [...sorted, ...others];
}
