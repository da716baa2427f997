import type { Kind, Kinds, KindVersion } from './kinds.ts';

/** What the path of a resource request names. */
export type Target = {
  readonly kind: Kind;
  readonly version: KindVersion;
  /** '' for cluster scope; undefined for a request across all namespaces. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
};

/** Reads `/api/v1/…` and `/apis/<group>/<version>/…`; undefined when nothing is served there. */
export function parseTarget(kinds: Kinds, path: string): Target | undefined {
  const parts = path.split('/').slice(1).map(decodeURIComponent);
  const isCore = parts[0] === 'api';
  if (!isCore && parts[0] !== 'apis') return undefined;
  const group = isCore ? '' : (parts[1] ?? '');
  const versionName = parts[isCore ? 1 : 2];
  const rest = parts.slice(isCore ? 2 : 3);
  // `namespaces/x` and its subresources are the Namespace itself; anything longer is inside of it.
  const isInside = rest[0] === 'namespaces' && rest.length >= 3 && !['status', 'finalize'].includes(rest[2] ?? '');
  const [resource, name, subresource, ...more] = isInside ? rest.slice(2) : rest;
  if (resource === undefined || more.length > 0) return undefined;
  const kind = kinds.find({ group, resource });
  const version = kind?.versions.find((item) => item.name === versionName);
  if (!kind || !version || (isInside && !kind.namespaced)) return undefined;
  const namespace = kind.namespaced ? (isInside ? rest[1] : undefined) : '';
  if (name !== undefined && namespace === undefined) return undefined;
  return { kind, version, namespace, name, subresource };
}
