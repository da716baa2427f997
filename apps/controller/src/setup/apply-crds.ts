import { customResourceDefinitions, type Names } from '@roundhouse/crds';
import type { Kube } from '@roundhouse/kube';

const resource = { group: 'apiextensions.k8s.io', version: 'v1', resource: 'customresourcedefinitions' };

/** The name under which Helm installs CRDs: another one would be in the way of its next installation. */
const fieldManager = 'helm';

/** Brings the CRDs to those of this version. What others added to their metadata stays. Returns a line for each. */
export async function applyCrds(
  kube: Pick<Kube, 'apply'>,
  names: Names,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const applied = customResourceDefinitions(names).map((wanted) => kube.apply(resource, wanted, fieldManager, signal));
  return (await Promise.all(applied)).map(({ metadata }) => `${metadata.name} is up to date`);
}
