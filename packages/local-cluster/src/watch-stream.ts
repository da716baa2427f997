import { ApiError, type KubeObject } from './api.ts';
import { follow } from './follow.ts';
import { type Call, shapeOf } from './http-call.ts';
import { apiVersionOf, type Kind, served } from './kinds.ts';
import type { Target } from './routes.ts';
import { parseFieldSelector, parseLabelSelector, type Selector } from './selectors.ts';
import type { Server } from './serving.ts';
import { badRequest, expired, statusOf } from './status.ts';
import type { Change, Store } from './store.ts';
import { columnsFor, partial, tableOf } from './tables.ts';

/** A client that does not read is cut off here; it resumes from the last event that it has. */
const unsentSizeBytesMax = 16 * 1024 * 1024;
const bookmarkEveryMs = 60_000;
/** Watches end now and then so that no connection lives for ever; clients resume. */
const timeoutMsDefault = 45 * 60_000;

/** What the request's selectors select. */
export function selectorOf(kind: Kind, { query }: Call): Selector {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const byLabels = labels ? parseLabelSelector(labels) : undefined;
  const byFields = fields ? parseFieldSelector(kind, fields) : undefined;
  return (object) => (byLabels?.(object) ?? true) && (byFields?.(object) ?? true);
}

/** Checks a revision that a client names: a number, and one that has been. */
export function requireRevision(store: Store, text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d+$/.test(text))
    throw badRequest(`resourceVersion: Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  const revision = Number(text);
  if (revision > store.revision) throw expired(`too large resource version: ${revision}, current: ${store.revision}`);
  return revision;
}

type WatchType = Change['type'] | 'BOOKMARK' | 'ERROR';

/** Streams changes until the client leaves, the time is over or the server closes. */
export function streamWatch(server: Server, call: Call, target: Target): void {
  const { kind, version, namespace } = target;
  const { store } = server.api.rest;
  const { query, response } = call;
  const selected = selectorOf(kind, call);
  const isWanted: Selector = (object) =>
    (!namespace || object.metadata.namespace === namespace) &&
    (target.name === undefined || object.metadata.name === target.name) &&
    selected(object);
  const render = renderer(server, call, target);
  const start = store.revision;
  const asked = requireRevision(store, query.get('resourceVersion'));
  const withInitial = query.get('sendInitialEvents') === 'true';
  const withBookmarks = query.get('allowWatchBookmarks') === 'true';
  const isFromNow = withInitial || !asked;

  const begin = () =>
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  const write = (type: WatchType, object: unknown) => {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > unsentSizeBytesMax) response.destroy();
  };
  const bookmark = (annotations?: object) => {
    const metadata = {
      resourceVersion: String(store.revision),
      creationTimestamp: null,
      ...(annotations && { annotations }),
    };
    const object = { kind: kind.kind, apiVersion: apiVersionOf(kind, version.name), metadata };
    write('BOOKMARK', render(object as unknown as KubeObject));
  };
  const deliver = (change: Change) => {
    const type = typeFor(change, isWanted);
    if (type === undefined) return;
    // What no longer matches is shown as it was, at the revision that took it away.
    const { revision, previous } = change;
    const shown =
      type === 'DELETED' && change.type !== 'DELETED' && previous
        ? { ...previous, metadata: { ...previous.metadata, resourceVersion: String(revision) } }
        : change.object;
    write(type, render(served(kind, version.name, shown)));
  };

  let stop: () => void;
  try {
    stop = follow(store, kind.key, isFromNow ? start : (asked ?? start), deliver);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    begin();
    write('ERROR', statusOf(error));
    response.end();
    return;
  }
  begin();
  response.flushHeaders();
  if (isFromNow && query.get('sendInitialEvents') !== 'false') {
    for (const object of store.list(kind.key, kind.namespaced ? namespace : undefined)) {
      if (isWanted(object)) write('ADDED', render(served(kind, version.name, object)));
    }
    if (withInitial && withBookmarks) bookmark({ 'k8s.io/initial-events-end': 'true' });
  }
  endLater(server, call, { stop, bookmark: withBookmarks ? bookmark : undefined });
}

type Watching = { readonly stop: () => void; readonly bookmark: (() => void) | undefined };

/** Bookmarks now and then, and the end of the watch. */
function endLater({ clock, closing }: Server, { query, response }: Call, { stop, bookmark }: Watching): void {
  const timeoutMs = Number(query.get('timeoutSeconds') ?? 0) * 1000 || timeoutMsDefault;
  let cancelBookmark = () => {};
  const bookmarkLater = () => {
    cancelBookmark = clock.after(bookmarkEveryMs, () => {
      bookmark?.();
      bookmarkLater();
    });
  };
  if (bookmark) bookmarkLater();
  const cancelEnd = clock.after(timeoutMs, () => {
    bookmark?.();
    response.end();
  });
  const onClosing = () => response.end();
  closing.addEventListener('abort', onClosing, { once: true });
  response.on('close', () => {
    stop();
    cancelEnd();
    cancelBookmark();
    closing.removeEventListener('abort', onClosing);
  });
}

/** What a change is for a watch that sees only some objects; undefined if it is nothing. */
function typeFor({ type, object, previous }: Change, isWanted: Selector): Change['type'] | undefined {
  const was = previous !== undefined && isWanted(previous);
  const is = type !== 'DELETED' && isWanted(object);
  if (is) return was ? 'MODIFIED' : 'ADDED';
  return was ? 'DELETED' : undefined;
}

/** Objects in the shape that the client asked for. Of a stream of tables only the first has columns. */
function renderer({ clock }: Server, call: Call, { kind, version }: Target): (object: KubeObject) => unknown {
  const shape = shapeOf(call);
  if (shape === 'object') return (object) => object;
  if (shape === 'partial') return partial;
  const columns = columnsFor(kind, version);
  const include = call.query.get('includeObject') ?? 'Metadata';
  let withColumns = true;
  return (object) => {
    const metadata = { resourceVersion: object.metadata.resourceVersion };
    const table = tableOf(columns, [object], { include, nowMs: clock.now(), withColumns, metadata });
    withColumns = false;
    return table;
  };
}
