import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kserveGroup, type Names } from '@roundhouse/crds';
import type { Api, KubeObject, Resource } from '@roundhouse/local-cluster';
import { parseAllDocuments } from 'yaml';

/** An example model with a request that it is known to answer. */
export type Example = { readonly model: string; readonly request: { readonly v1: unknown; readonly v2: unknown } };

const marker: Resource = { group: '', resource: 'configmaps' };
const markerName = 'roundhouse-examples';

/** The manifests of `examples/manifests` for a group, with the place of this checkout filled in. */
export function exampleObjects(examplesDirectory: string, { group }: Names): KubeObject[] {
  const manifests = join(examplesDirectory, 'manifests');
  return readdirSync(manifests)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .flatMap((name) => {
      const written = readFileSync(join(manifests, name), 'utf8');
      const text = written.replaceAll(/\$\{EXAMPLES\}/g, examplesDirectory).replaceAll(kserveGroup, group);
      return parseAllDocuments(text).map((document): KubeObject => document.toJS());
    });
}

/**
 * Applies the examples the first time only, so that an example that somebody deleted stays deleted. Returns whether it did.
 */
export function applyExamples(api: Api, names: Names, examplesDirectory: string, namespace: string): boolean {
  if (api.get(marker, namespace, markerName) !== undefined) return false;
  for (const object of exampleObjects(examplesDirectory, names)) {
    const named = { ...object, metadata: { namespace: 'default', ...object.metadata } };
    const resource = resourceOf(names, object.kind);
    if (api.get(resource, named.metadata.namespace, named.metadata.name) === undefined) api.create(resource, named);
  }
  const data = { note: 'The example models were applied once; delete this ConfigMap to have them applied again.' };
  api.create(marker, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: markerName, namespace }, data });
  return true;
}

function resourceOf({ inferenceServices, trainedModels }: Names, kind: string): Resource {
  switch (kind) {
    case inferenceServices.kind:
      return inferenceServices;
    case trainedModels.kind:
      return trainedModels;
    default:
      throw new Error(`examples have no place for a ${kind}`);
  }
}

/** The request that comes with an example, or undefined for any other model. */
export function exampleRequest(examplesDirectory: string, model: string): Example['request'] | undefined {
  const file = join(examplesDirectory, 'expected', `${model}.json`);
  if (!existsSync(file)) return undefined;
  const { request }: { readonly request: Example['request'] } = JSON.parse(readFileSync(file, 'utf8'));
  return request;
}
