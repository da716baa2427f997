import type { Names } from '@roundhouse/crds';
import type { ModelObject } from '../assignments/model.ts';

type Metadata = ModelObject['metadata'] & {
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly { readonly apiVersion: string; readonly kind: string; readonly uid: string }[];
  readonly resourceVersion?: string;
};

export type Claimable = ModelObject & { readonly metadata: Metadata };

export type Parent = { readonly name: string; readonly uid: string };

/**
 * The merge patch that makes a model ours: finalizer, parent's label, memory label, owner reference. Undefined when nothing is
 * missing. It names the resourceVersion, since it replaces lists that others write too.
 */
export function planClaim(
  names: Names,
  { metadata }: Claimable,
  parentName: string,
  parent: Parent | undefined,
  held: boolean,
): { readonly metadata: object } | undefined {
  const { labels = {}, finalizers = [], ownerReferences = [], resourceVersion } = metadata;
  // Other finalizers and owners stay.
  const { group, kind } = names.inferenceServices;
  const isParent = (owner: { readonly apiVersion: string; readonly kind: string }) =>
    owner.kind === kind && owner.apiVersion.startsWith(`${group}/`);
  const others = ownerReferences.filter((owner) => !isParent(owner));
  // A service that is gone is left as owner: by it the garbage collector finds what to delete, and it may come after us.
  const owners = parent === undefined ? ownerReferences : [...others, ownerReference(names, parent)];
  const allocated = labels[names.labels.allocated];
  const wantedAllocated = held ? parentName : undefined;
  const changes = {
    ...(labels[names.labels.parent] === parentName && allocated === wantedAllocated
      ? {}
      : { labels: { [names.labels.parent]: parentName, [names.labels.allocated]: wantedAllocated ?? null } }),
    ...(finalizers.includes(names.finalizer) ? {} : { finalizers: [...finalizers, names.finalizer] }),
    ...(sameOwners(ownerReferences, owners) ? {} : { ownerReferences: owners }),
  };
  return Object.keys(changes).length === 0 ? undefined : { metadata: { resourceVersion, ...changes } };
}

/** The merge patch that lets a deleted model go; undefined when nothing of ours holds it. */
export function planRelease(names: Names, { metadata }: Claimable): { readonly metadata: object } | undefined {
  const { finalizers = [], resourceVersion } = metadata;
  if (!finalizers.includes(names.finalizer)) return undefined;
  return { metadata: { resourceVersion, finalizers: finalizers.filter((name) => name !== names.finalizer) } };
}

function ownerReference({ inferenceServices: { group, version, kind } }: Names, { name, uid }: Parent) {
  // It blocks a foreground deletion of the service until the model is unloaded, which our finalizer sees to.
  return { apiVersion: `${group}/${version}`, kind, name, uid, controller: false, blockOwnerDeletion: true };
}

function sameOwners(a: readonly { readonly uid: string }[], b: readonly { readonly uid: string }[]): boolean {
  return a.length === b.length && a.every(({ uid }, index) => uid === b[index]?.uid);
}
