import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { annotations } from '@roundhouse/crds';

type Metadata = {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** An object that we render: identity, metadata of ours, and a spec. */
export type Child = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata & { readonly ownerReferences?: readonly Owner[] };
  readonly spec: object;
};

type Owner = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
};

export type StoredChild = {
  readonly metadata: Metadata & { readonly ownerReferences?: readonly Owner[] };
  readonly spec?: unknown;
};

export type ChildStep<Object> =
  | { readonly kind: 'create'; readonly object: Child }
  | { readonly kind: 'replace'; readonly object: Object & Child }
  | { readonly kind: 'foreign'; readonly message: string };

/**
 * What brings `current` to what we render: undefined when it is there already. Fields that we do not set are the API
 * server's or somebody else's, and no difference; that we no longer set one shows in the hash of the rendering.
 */
export function planChild<Object extends StoredChild>(
  wanted: Child,
  current: Object | undefined,
  ownerUid: string,
): ChildStep<Object> | undefined {
  const hash = createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 16);
  const marked = withAnnotation(wanted, hash);
  if (current === undefined) return { kind: 'create', object: marked };
  const { ownerReferences } = wanted.metadata;
  const owner = controllerOf(current.metadata.ownerReferences);
  const isInherited = owner?.uid !== ownerUid && isSuccessor(controllerOf(ownerReferences), owner);
  if (owner?.uid !== ownerUid && !isInherited) {
    const { kind, metadata } = wanted;
    const whose = owner === undefined ? 'was not made by Roundhouse' : 'belongs to another object';
    return { kind: 'foreign', message: `${kind} ${metadata.name} ${whose}: delete or rename it` };
  }
  const { name, namespace, labels, annotations: notes } = marked.metadata;
  const ours = { metadata: { name, namespace, labels, annotations: notes }, spec: marked.spec };
  if (!isInherited && contains(current, ours)) return undefined;
  const metadata = {
    ...current.metadata,
    ...(isInherited ? { ownerReferences } : {}),
    labels: { ...current.metadata.labels, ...labels },
    annotations: { ...current.metadata.annotations, ...notes },
  };
  const { apiVersion, kind } = wanted;
  const spec = defaulted.has(kind) ? { ...(current.spec as object), ...marked.spec } : marked.spec;
  return { kind: 'replace', object: { ...current, apiVersion, kind, metadata, spec } };
}

const controllerOf = (owners: readonly Owner[] = []) => owners.find(({ controller }) => controller === true);

/**
 * Whether the one is what somebody made anew after deleting the other: a name is one object's at a time. The garbage collector may take
 * minutes to come to what the older one left, and leaves it alone once it has a living owner.
 */
export function isSuccessor(owner: Owner | undefined, older: Owner | undefined): boolean {
  const idOf = ({ apiVersion, kind, name }: Owner) => `${apiVersion} ${kind} ${name}`;
  return owner !== undefined && older !== undefined && idOf(owner) === idOf(older);
}

/** Kinds whose spec the API server and others add to: what we do not set stays. */
const defaulted: ReadonlySet<string> = new Set(['Deployment', 'Service', 'Ingress']);

function withAnnotation(child: Child, hash: string): Child {
  const { metadata } = child;
  return {
    ...child,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [annotations.rendered]: hash } },
  };
}

/** Whether every field of `wanted` has its value in `actual`. */
function contains(actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    if (wanted.length === 0 && actual === undefined) return true;
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => contains(actual[index], item))
    );
  }
  if (typeof wanted !== 'object' || wanted === null) return isDeepStrictEqual(actual, wanted);
  if (typeof actual !== 'object' || actual === null) return Object.keys(wanted).length === 0;
  return Object.entries(wanted).every(([key, value]) => contains((actual as Record<string, unknown>)[key], value));
}
