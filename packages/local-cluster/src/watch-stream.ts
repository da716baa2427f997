import { ApiError, type KubeObject } from './api.ts';
import { follow } from './follow.ts';
import { type Call, isOn, numberOf, type Server } from './http-call.ts';
import { apiVersionOf } from './kinds.ts';
import { requireRevision, selectorOf } from './lists.ts';
import { rendererFor } from './rendering.ts';
import type { Target } from './routes.ts';
import type { Selector } from './selectors.ts';
import { statusOf } from './status.ts';
import type { Change } from './store.ts';

/** A client that does not read is cut off here; it resumes from the last event that it has. */
const unsentSizeBytesMax = 16 * 1024 * 1024;
const bookmarkEveryMs = 60_000;
/** Watches end now and then so that no connection lives for ever; clients resume. */
const timeoutMsDefault = 45 * 60_000;

/** Streams changes until the client leaves, the time is over or the server closes. */
export function streamWatch(server: Server, call: Call, target: Target): void {
  const { kind, version } = target;
  const { store } = server.api.rest;
  const { query, response } = call;
  const isWanted = selectorOf(call, target);
  const show = rendererFor(server, call, target);
  const asked = requireRevision(store, call);
  const timeoutMs = (numberOf(call, 'timeoutSeconds') ?? 0) * 1000 || timeoutMsDefault;
  const withInitial = isOn(call, 'sendInitialEvents');
  const withBookmarks = isOn(call, 'allowWatchBookmarks');

  const write = (type: Change['type'] | 'BOOKMARK' | 'ERROR', object: unknown) => {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > unsentSizeBytesMax) response.destroy();
  };
  const bookmark = (annotations?: object) => {
    const metadata = { resourceVersion: String(store.revision), creationTimestamp: null, ...annotations };
    const object: unknown = { kind: kind.kind, apiVersion: apiVersionOf(kind, version.name), metadata };
    write('BOOKMARK', show.one(object as KubeObject));
  };
  const deliver = (change: Change) => {
    const type = typeFor(change, isWanted);
    if (type === undefined) return;
    const { object, previous } = change;
    // What no longer matches is shown as it was, at the revision that took it away.
    const isLeft = type === 'DELETED' && change.type !== 'DELETED' && previous !== undefined;
    const metadata = { ...previous?.metadata, resourceVersion: String(change.revision) };
    write(type, show.one(isLeft ? ({ ...previous, metadata } as KubeObject) : object));
  };

  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  const isFromNow = withInitial || !asked;
  try {
    const stop = follow(store, kind.key, isFromNow ? store.revision : asked, deliver);
    endLater(server, call, { timeoutMs, stop, bookmark: withBookmarks ? bookmark : () => {} });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    write('ERROR', statusOf(error));
    response.end();
    return;
  }
  if (!isFromNow || query.get('sendInitialEvents') === 'false') return;
  for (const object of store.list(kind.key, undefined)) if (isWanted(object)) write('ADDED', show.one(object));
  if (withInitial && withBookmarks) bookmark({ annotations: { 'k8s.io/initial-events-end': 'true' } });
}

type End = { readonly timeoutMs: number; readonly stop: () => void; readonly bookmark: () => void };

/** Bookmarks now and then, and the end of the watch. */
function endLater({ clock, closing }: Server, { response }: Call, { timeoutMs, stop, bookmark }: End): void {
  const onClosing = () => response.end();
  let cancelBookmark = () => {};
  const bookmarkLater = () => {
    cancelBookmark = clock.after(bookmarkEveryMs, () => {
      bookmark();
      bookmarkLater();
    });
  };
  bookmarkLater();
  const cancelEnd = clock.after(timeoutMs, () => {
    bookmark();
    response.end();
  });
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
