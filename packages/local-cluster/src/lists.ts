import { randomUUID } from 'node:crypto';
import { type Call, numberOf, type Server, type Snapshot, sendJson } from './http-call.ts';
import { rendererFor } from './rendering.ts';
import type { Target } from './routes.ts';
import { parseFieldSelector, parseLabelSelector, type Selector } from './selectors.ts';
import { expired } from './status.ts';
import type { Store } from './store.ts';

/** Clients that page read to the end at once; the oldest is dropped beyond so many. */
const snapshotsMax = 64;

/** What the request's path and selectors select. */
export function selectorOf({ query }: Call, { kind, namespace, name }: Target): Selector {
  const labels = query.get('labelSelector');
  const fields = query.get('fieldSelector');
  const byLabels = labels ? parseLabelSelector(labels) : undefined;
  const byFields = fields ? parseFieldSelector(kind.key, fields) : undefined;
  return (object) =>
    (!namespace || object.metadata.namespace === namespace) &&
    (name === undefined || object.metadata.name === name) &&
    (byLabels?.(object) ?? true) &&
    (byFields?.(object) ?? true);
}

/** Checks a revision that a client names: a number, and one that has been. */
export function requireRevision(store: Store, call: Call): number | undefined {
  const revision = numberOf(call, 'resourceVersion');
  if (revision === undefined || revision <= store.revision) return revision;
  throw expired(`too large resource version: ${revision}, current: ${store.revision}`);
}

/** Answers a list, or the next piece of one. */
export function listObjects(server: Server, call: Call, target: Target): void {
  const { items, revision } = snapshotFor(server, call, target);
  const limit = numberOf(call, 'limit') || items.length;
  const rest = items.slice(limit);
  const metadata = {
    resourceVersion: String(revision),
    ...(rest.length > 0 && {
      continue: keep(server.lists, { items: rest, revision }),
      remainingItemCount: rest.length,
    }),
  };
  sendJson(call, 200, rendererFor(server, call, target).list(items.slice(0, limit), metadata));
}

function snapshotFor({ api, lists }: Server, call: Call, target: Target): Snapshot {
  const { store } = api.rest;
  const token = call.query.get('continue');
  const kept = token ? lists.get(token) : undefined;
  if (kept) return kept;
  if (token) {
    const why =
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.';
    throw expired(why);
  }
  requireRevision(store, call);
  const items = store.list(target.kind.key, undefined).filter(selectorOf(call, target));
  return { items, revision: store.revision };
}

function keep(lists: Server['lists'], snapshot: Snapshot): string {
  const token = randomUUID();
  lists.set(token, snapshot);
  const oldest = lists.keys().next().value;
  if (lists.size > snapshotsMax && oldest !== undefined) lists.delete(oldest);
  return token;
}
