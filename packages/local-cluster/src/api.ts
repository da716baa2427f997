import type { ObjectMeta as Meta, OwnerReference } from 'kubernetes-types/meta/v1.js';

export type { OwnerReference };

/** A Kubernetes object as it is stored and served. What is inside depends on its kind. */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
};

export type ObjectMeta = Readonly<Omit<Meta, 'managedFields' | 'selfLink'>> & { readonly name: string };

/** A resource by its plural name, such as `{ group: 'apps', resource: 'deployments' }`; the core group is ''. */
export type Resource = { readonly group: string; readonly resource: string };

export type WatchEvent = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject };

/**
 * The API server's semantics without HTTP: validation, defaulting, admission, generation, finalizers, owner references and
 * watches are those of a REST request. All calls are synchronous, since the store is; they throw an `ApiError` with the
 * `Status` that a client would get.
 */
export type Api = {
  get(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined;
  /** All namespaces when `namespace` is undefined. `labels` are equalities that must all hold. */
  list(
    resource: Resource,
    options?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> },
  ): { readonly items: readonly KubeObject[]; readonly resourceVersion: string };
  create(resource: Resource, object: KubeObject): KubeObject;
  /** Replaces; a `metadata.resourceVersion` that is not the current one is a 409. */
  update(resource: Resource, object: KubeObject, subresource?: 'status'): KubeObject;
  /** A missing object is no error. Returns once the request is accepted: finalizers may keep the object for a while. */
  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options?: {
      readonly uid?: string;
      readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
      readonly gracePeriodSeconds?: number;
    },
  ): void;
  /**
   * Calls `listener` once for each change after `resourceVersion`, in order, in a later turn of the event loop.
   * The returned function ends it.
   */
  watch(
    resource: Resource,
    options: { readonly resourceVersion: string; readonly namespace?: string },
    listener: (event: WatchEvent) => void,
  ): () => void;
};

/** An answer other than success, as the `Status` object that clients get. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(status: number, reason: string, message: string, details?: Readonly<Record<string, unknown>>) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}

/** Issues ServiceAccount tokens as the TokenRequest API does; TokenReview accepts them while the Pod lives. */
export type TokenIssuer = {
  issue(request: {
    readonly namespace: string;
    readonly serviceAccount: string;
    readonly audiences: readonly string[];
    readonly expirationSeconds: number;
    readonly pod?: { readonly name: string; readonly uid: string };
  }): string;
};

/** Where the API server gets a container's log from: the node. */
export type PodLogs = {
  /** Lines as the container wrote them. With `follow` it ends when the container does or `signal` aborts. */
  read(
    request: {
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly follow: boolean;
      readonly previous: boolean;
      readonly tailLines: number | undefined;
      readonly sinceSeconds: number | undefined;
      readonly timestamps: boolean;
    },
    signal: AbortSignal,
  ): AsyncIterable<string>;
};
