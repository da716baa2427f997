import { createInterface } from 'node:readline';
import { messageOf, within } from '@roundhouse/base';
import { type Call, type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import { isKubeError, KubeError, kubeErrorFor } from './errors.ts';
import { type KubeObject, pathOf, type Resource } from './object.ts';

export type ListOptions = { readonly namespace?: string; readonly labelSelector?: string };

export type WatchEvent = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: KubeObject };

export type PatchTarget = { readonly namespace?: string; readonly name: string; readonly status?: boolean };

/** The Kubernetes API, typed. Every call has a deadline and throws a `KubeError`; none retries: queues do. */
export type Kube = {
  /** Undefined when there is no such object. */
  get(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined>;
  /** What an object is called, without what it says: its content never leaves the API server. */
  metadata(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    signal: AbortSignal,
  ): Promise<KubeObject['metadata'] | undefined>;
  /** Everything, read page by page; `resourceVersion` is where a watch goes on. */
  list(
    resource: Resource,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<{ readonly items: readonly KubeObject[]; readonly resourceVersion: string }>;
  create(resource: Resource, object: object, signal: AbortSignal): Promise<KubeObject>;
  /** A PUT: `kube/conflict` when the object's resourceVersion is not the current one. */
  replace(resource: Resource, object: object, signal: AbortSignal): Promise<KubeObject>;
  /** A JSON merge patch (RFC 7386). Undefined when there is no such object. */
  patch(resource: Resource, target: PatchTarget, patch: object, signal: AbortSignal): Promise<KubeObject | undefined>;
  /** Server-side apply: creates the object, or gives it these fields, whoever set them before. */
  apply(resource: Resource, object: object, fieldManager: string, signal: AbortSignal): Promise<KubeObject>;
  /** A missing object, and one that is another than `uid`, is no error. */
  delete(
    resource: Resource,
    target: { readonly namespace?: string; readonly name: string; readonly uid?: string },
    signal: AbortSignal,
  ): Promise<void>;
  /** Events after `resourceVersion` until the server ends the watch; throws `kube/gone` when that is too old. */
  watch(
    resource: Resource,
    options: ListOptions & { readonly resourceVersion: string },
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent>;
  close(): Promise<void>;
};

/** Longer than any healthy answer takes, shorter than a person's patience. */
const callMsMax = 30_000;

/** Without an alternative: a server that cannot leave the content out is to refuse. */
const metadataOnly = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

/** Objects per page: a page of large objects stays well within a few megabytes. */
const pageSize = 500;

/** The server ends a watch after this, so that a dead connection is noticed in bounded time. */
const watchSeconds = 300;

export async function openKube(options: ConnectionOptions): Promise<Kube> {
  const connection = await openConnection(options);
  const json = (call: Call, signal: AbortSignal) => readJson(connection, call, within(callMsMax, signal));
  const orUndefined = async (call: Call, signal: AbortSignal) => {
    try {
      return await json(call, signal);
    } catch (error) {
      if (isKubeError(error, 'kube/not-found') || isKubeError(error, 'kube/no-kind')) return undefined;
      throw error;
    }
  };
  return {
    get: (resource, namespace, name, signal) =>
      orUndefined({ method: 'GET', path: pathOf(resource, namespace, name) }, signal) as Promise<
        KubeObject | undefined
      >,
    async metadata(resource, namespace, name, signal) {
      const call: Call = { method: 'GET', path: pathOf(resource, namespace, name), accept: metadataOnly };
      return ((await orUndefined(call, signal)) as KubeObject | undefined)?.metadata;
    },
    list: (resource, options, signal) => listPages(json, resource, options, signal),
    create: (resource, object, signal) =>
      json(
        { method: 'POST', path: pathOf(resource, namespaceOf(object)), body: object },
        signal,
      ) as Promise<KubeObject>,
    replace(resource, object, signal) {
      const path = pathOf(resource, namespaceOf(object), (object as KubeObject).metadata.name);
      return json({ method: 'PUT', path, body: object }, signal) as Promise<KubeObject>;
    },
    patch(resource, { namespace, name, status }, patch, signal) {
      const path = `${pathOf(resource, namespace, name)}${status === true ? '/status' : ''}`;
      const call: Call = { method: 'PATCH', path, body: patch, contentType: 'application/merge-patch+json' };
      return orUndefined(call, signal) as Promise<KubeObject | undefined>;
    },
    apply(resource, object, fieldManager, signal) {
      const path = `${pathOf(resource, namespaceOf(object), (object as KubeObject).metadata.name)}?${queryOf({ fieldManager, force: 'true' })}`;
      const call: Call = { method: 'PATCH', path, body: object, contentType: 'application/apply-patch+yaml' };
      return json(call, signal) as Promise<KubeObject>;
    },
    async delete(resource, { namespace, name, uid }, signal) {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        ...(uid !== undefined && { preconditions: { uid } }),
      };
      try {
        await json({ method: 'DELETE', path: pathOf(resource, namespace, name), body }, signal);
      } catch (error) {
        const codes = ['kube/not-found', 'kube/no-kind', 'kube/conflict'] as const;
        if (!codes.some((code) => isKubeError(error, code))) throw error;
      }
    },
    watch: (resource, options, signal) => watchLines(connection, resource, options, signal),
    close: () => connection.close(),
  };
}

function namespaceOf(object: object): string | undefined {
  return (object as KubeObject).metadata?.namespace;
}

async function readJson(connection: Connection, call: Call, signal: AbortSignal): Promise<unknown> {
  const request = `${call.method} ${call.path.replace(/\?.*/, '')}`;
  const { statusCode, text } = await reached(request, signal, async () => {
    const response = await connection.send(call, signal);
    return { statusCode: response.statusCode, text: await response.body.text() };
  });
  if (statusCode >= 300) throw kubeErrorFor(request, statusCode, text);
  return JSON.parse(text);
}

/** Whatever keeps an answer from us is `kube/unavailable`, except our own wish to stop. */
async function reached<T>(request: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (signal.aborted && !(signal.reason instanceof Error && signal.reason.name === 'TimeoutError')) throw error;
    throw new KubeError('kube/unavailable', `${request}: the API server cannot be reached (${messageOf(error)})`, {
      cause: error,
    });
  }
}

type Page = {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items?: readonly KubeObject[];
};

async function listPages(
  json: (call: Call, signal: AbortSignal) => Promise<unknown>,
  resource: Resource,
  { namespace, labelSelector }: ListOptions,
  signal: AbortSignal,
) {
  const items: KubeObject[] = [];
  let next: string | undefined;
  for (;;) {
    const query = queryOf({ limit: String(pageSize), labelSelector, continue: next });
    const page = (await json({ method: 'GET', path: `${pathOf(resource, namespace)}?${query}` }, signal)) as Page;
    // Items of a list carry neither kind nor version: the list says them for all.
    const head = { apiVersion: page.apiVersion, kind: page.kind.replace(/List$/, '') };
    for (const item of page.items ?? []) items.push({ ...head, ...item });
    if (!page.metadata.continue) return { items, resourceVersion: page.metadata.resourceVersion };
    next = page.metadata.continue;
  }
}

async function* watchLines(
  connection: Connection,
  resource: Resource,
  { namespace, labelSelector, resourceVersion }: ListOptions & { readonly resourceVersion: string },
  stop: AbortSignal,
): AsyncGenerator<WatchEvent> {
  const signal = within((watchSeconds + 30) * 1000, stop);
  const query = queryOf({
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(watchSeconds),
    resourceVersion,
    labelSelector,
  });
  const path = `${pathOf(resource, namespace)}?${query}`;
  const request = `watch of ${resource.resource}`;
  const response = await reached(request, signal, () => connection.send({ method: 'GET', path }, signal));
  if (response.statusCode >= 300) throw kubeErrorFor(request, response.statusCode, await response.body.text());
  const reader = createInterface({ input: response.body, crlfDelay: Number.POSITIVE_INFINITY });
  reader.on('error', () => {}); // as of the body
  const lines = reader[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await reached(request, signal, () => lines.next());
    if (done === true) return;
    const event = JSON.parse(value) as
      | WatchEvent
      | { readonly type: 'ERROR'; readonly object: { readonly code?: number } };
    if (event.type === 'ERROR') throw kubeErrorFor(request, event.object.code ?? 500, JSON.stringify(event.object));
    yield event;
  }
}

function queryOf(parameters: Readonly<Record<string, string | undefined>>): URLSearchParams {
  const given = Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  return new URLSearchParams(given as [string, string][]);
}
