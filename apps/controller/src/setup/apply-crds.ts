import { isDeepStrictEqual } from 'node:util';
import { customResourceDefinitions } from '@roundhouse/crds';
import type { Cluster } from '../cluster.ts';

const resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  resource: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
} as const;

/** Brings the CRDs to those of this version. What others added to their metadata stays. Returns a line for each. */
export async function applyCrds(cluster: Pick<Cluster, 'get' | 'create' | 'replace'>, signal: AbortSignal) {
  const lines: string[] = [];
  for (const wanted of customResourceDefinitions()) {
    const { name } = wanted.metadata;
    const current = await cluster.get(resource, undefined, name, signal);
    if (current === undefined) await cluster.create(resource, wanted, signal);
    else if (isOlder(current.spec, wanted.spec)) {
      await cluster.replace(resource, { ...current, spec: { ...(current.spec as object), ...wanted.spec } }, signal);
    }
    lines.push(`${name} ${current === undefined ? 'created' : 'is up to date'}`);
  }
  return lines;
}

/** Whether the stored versions are others than ours; what the API server adds to a spec lies outside of them. */
function isOlder(current: unknown, wanted: { readonly versions: unknown }): boolean {
  return !isDeepStrictEqual((current as { readonly versions?: unknown }).versions, wanted.versions);
}
