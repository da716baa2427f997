import { parseJsonLines } from './json-lines.ts';
import { isKubeError, KubeError, kubeErrorFor } from './kube-error.ts';
import { type KubeObject, pathFor, type Resource, type Target } from './object.ts';
import { type Access, type Call, openTransport } from './transport.ts';

export type ListOptions = { readonly namespace?: string | undefined; readonly labelSelector?: string | undefined };

export type Page<T> = { readonly items: readonly T[]; readonly resourceVersion: string; readonly continue?: string };

export type WatchEvent<T> = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: T };

export type TokenReview = {
  readonly authenticated: boolean;
  readonly username: string;
  readonly groups: readonly string[];
  /** Such as `authentication.kubernetes.io/pod-uid` for tokens bound to a pod. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
  readonly audiences: readonly string[];
};

/**
 * The Kubernetes API. Every call has a deadline, and fails with a `KubeError` or, when `signal` aborts, with its reason.
 * Nothing is retried here: the work queue does that, and it decides anew from what is there then.
 */
export type Kube = {
  /** Undefined when there is no such object. */
  get<T extends KubeObject = KubeObject>(
    resource: Resource,
    target: Target,
    signal: AbortSignal,
  ): Promise<T | undefined>;
  /** All objects, page by page, of one point in time. */
  list<T extends KubeObject = KubeObject>(
    resource: Resource,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<Page<T>>;
  /** Changes after `resourceVersion`, until the server ends it, nothing comes for a while, or `signal` aborts. */
  watch<T extends KubeObject = KubeObject>(
    resource: Resource,
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T>;
  /** With `metadata.resourceVersion` it is a conflict when the object has changed since. */
  replace<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T>;
  /** An object is a JSON merge patch (RFC 7386), an array a JSON patch (RFC 6902). */
  patch<T extends KubeObject = KubeObject>(
    resource: Resource,
    target: Target,
    patch: object,
    signal: AbortSignal,
  ): Promise<T>;
  /** As `patch`, of the status subresource. */
  patchStatus<T extends KubeObject = KubeObject>(
    resource: Resource,
    target: Target,
    patch: object,
    signal: AbortSignal,
  ): Promise<T>;
  /** Returns when the request is accepted; an object that is not there is no error. A conflict when it has another uid. */
  delete(
    resource: Resource,
    target: Target,
    options: {
      readonly uid?: string;
      readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
      readonly gracePeriodSeconds?: number;
    },
    signal: AbortSignal,
  ): Promise<void>;
  tokenReview(token: string, audience: string, signal: AbortSignal): Promise<TokenReview>;
  close(): Promise<void>;
};

const callMsMax = 30_000;

/** As kubectl does: a page is a few hundred KiB, and no request is long. */
const pageItemsMax = 500;

/** The server is asked to end watches after five minutes, as informers elsewhere do, so that load spreads when servers change. */
const watchSeconds = 300;

/** Bookmarks come about once a minute; a stream that is silent for longer than that by half may be dead. */
const defaultIdleMs = 90_000;

const tokenReviews: Resource = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' };

/** A client for `access`. Opens connections as needed; `close` ends them. */
export function createKube(access: Access, { idleMs = defaultIdleMs }: { readonly idleMs?: number } = {}): Kube {
  const transport = openTransport(access);
  const send = async <T>(call: Omit<Call, 'timeoutMs'>, signal: AbortSignal) =>
    (await transport.send({ ...call, timeoutMs: callMsMax }, signal)) as T;

  const patch = <T>(path: string, body: object, signal: AbortSignal) =>
    send<T>(
      {
        method: 'PATCH',
        path,
        body,
        contentType: Array.isArray(body) ? 'application/json-patch+json' : 'application/merge-patch+json',
      },
      signal,
    );

  return {
    async get(resource, { namespace, name }, signal) {
      return found(send({ method: 'GET', path: pathFor(resource, namespace, name) }, signal));
    },
    list: (resource, { namespace, labelSelector }, signal) =>
      allPages((limit, token) =>
        send<ListAnswer<never>>(
          { method: 'GET', path: pathFor(resource, namespace), query: { labelSelector, limit, continue: token } },
          signal,
        ),
      ),
    async *watch<T extends KubeObject>(
      resource: Resource,
      { namespace, labelSelector, resourceVersion }: ListOptions & { readonly resourceVersion: string },
      signal: AbortSignal,
    ) {
      const path = pathFor(resource, namespace);
      const query = {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion,
        labelSelector,
        timeoutSeconds: String(watchSeconds),
      };
      const bytes = await transport.stream({ method: 'GET', path, query, timeoutMs: callMsMax }, idleMs, signal);
      for await (const line of parseJsonLines(bytes)) {
        const { type, object } = line as { readonly type: string; readonly object: T };
        if (type === 'ERROR') {
          throw kubeErrorFor(Number(object.code ?? 500), JSON.stringify(object), `watch ${path}`);
        }
        yield { type, object } as WatchEvent<T>;
      }
    },
    create: (resource, object, signal) =>
      send({ method: 'POST', path: pathFor(resource, object.metadata.namespace), body: object }, signal),
    replace: (resource, object, signal) => {
      const { namespace, name } = object.metadata;
      return send({ method: 'PUT', path: pathFor(resource, namespace, name), body: object }, signal);
    },
    patch: (resource, { namespace, name }, body, signal) => patch(pathFor(resource, namespace, name), body, signal),
    patchStatus: (resource, { namespace, name }, body, signal) =>
      patch(pathFor(resource, namespace, name, 'status'), body, signal),
    async delete(resource, { namespace, name }, { uid, propagation, gracePeriodSeconds }, signal) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        preconditions: uid === undefined ? undefined : { uid },
        propagationPolicy: propagation,
        gracePeriodSeconds,
      };
      await found(send({ method: 'DELETE', path: pathFor(resource, namespace, name), body }, signal));
    },
    tokenReview: async (token, audience, signal) => {
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences: [audience] },
      };
      return reviewIn(await send({ method: 'POST', path: pathFor(tokenReviews, undefined), body }, signal));
    },
    close: () => transport.close(),
  };
}

async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isKubeError(error, 'not-found')) return undefined;
    throw error;
  }
}

type ListAnswer<T> = {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[];
};

/** When a page's token is too old (the list took longer than the server keeps history) it asks for everything at once. */
async function allPages<T>(
  page: (limit: string | undefined, token: string | undefined) => Promise<ListAnswer<T>>,
): Promise<Page<T>> {
  const items: T[] = [];
  let token: string | undefined;
  let limit: string | undefined = String(pageItemsMax);
  for (;;) {
    const answer: ListAnswer<T> | undefined = await page(limit, token).catch((error: unknown) => {
      if (token !== undefined && isKubeError(error, 'gone')) return undefined;
      throw error;
    });
    if (answer === undefined) {
      items.length = 0;
      token = limit = undefined;
      continue;
    }
    items.push(...named(answer));
    const { resourceVersion, continue: next } = answer.metadata ?? {};
    if (next === undefined || next === '') return { items, resourceVersion: resourceVersion ?? '' };
    if (next === token) throw new KubeError('unavailable', 'the list repeats itself');
    token = next;
  }
}

/** Items of a list come without their kind, which everyone wants to know. */
function named<T>({ apiVersion, kind, items = [] }: ListAnswer<T>): T[] {
  const itemKind = kind?.replace(/List$/, '');
  return items.map((item) => ({ apiVersion, kind: itemKind, ...item }));
}

function reviewIn(answer: {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: Partial<Pick<TokenReview, 'username' | 'groups' | 'extra'>>;
    readonly audiences?: readonly string[];
  };
}): TokenReview {
  const { authenticated = false, user = {}, audiences = [] } = answer.status ?? {};
  return {
    authenticated,
    username: user.username ?? '',
    groups: user.groups ?? [],
    extra: user.extra ?? {},
    audiences,
  };
}
