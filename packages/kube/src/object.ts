/** A Kubernetes object as it is stored and served. What is inside depends on its kind. */
export type KubeObject = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
};

export type ObjectMeta = {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
};

export type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
};

/** A resource as URLs name it, such as `{ group: 'apps', version: 'v1', resource: 'deployments' }`; the core group is ''. */
export type Resource = { readonly group: string; readonly version: string; readonly resource: string };

/** One object, or with an undefined namespace one that has none. */
export type Target = { readonly namespace?: string | undefined; readonly name: string };

/** The key of an object in informers and queues: `namespace/name`, or `name`. */
export function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The path of a resource's collection, of one object, or of a subresource. */
export function pathFor(
  { group, version, resource }: Resource,
  namespace: string | undefined,
  ...rest: readonly string[]
): string {
  const root = group === '' ? ['api', version] : ['apis', group, version];
  const within = namespace === undefined ? [] : ['namespaces', namespace];
  return `/${[...root, ...within, resource, ...rest].map(encodeURIComponent).join('/')}`;
}
