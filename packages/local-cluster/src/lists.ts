import { randomUUID } from 'node:crypto';
import { type Call, sendJson, shapeOf } from './http-call.ts';
import { apiVersionOf, served } from './kinds.ts';
import type { Target } from './routes.ts';
import type { Lists, Server, Snapshot } from './serving.ts';
import { badRequest, expired } from './status.ts';
import { columnsFor, partial, tableOf } from './tables.ts';
import { requireRevision, selectorOf } from './watch-stream.ts';

/** Clients that page read to the end at once; the oldest is dropped beyond so many. */
const snapshotsMax = 64;

/** Answers a list, or the next piece of one. */
export function listObjects(server: Server, call: Call, target: Target) {
  const { kind, version } = target;
  const { items, revision } = snapshotFor(server, call, target);
  const limit = Number(call.query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: ${call.query.get('limit')}`);
  const page = limit > 0 ? items.slice(0, limit) : items;
  const rest = items.slice(page.length);
  const metadata = {
    resourceVersion: String(revision),
    ...(rest.length > 0 && {
      continue: keep(server.lists, { items: rest, revision }),
      remainingItemCount: rest.length,
    }),
  };
  const objects = page.map((item) => served(kind, version.name, item));
  const shape = shapeOf(call);
  if (shape === 'table') {
    const include = call.query.get('includeObject') ?? 'Metadata';
    const options = { include, nowMs: server.clock.now(), withColumns: true, metadata };
    return sendJson(call, 200, tableOf(columnsFor(kind, version), objects, options));
  }
  if (shape === 'partial') {
    const listKind = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' };
    return sendJson(call, 200, { ...listKind, metadata, items: objects.map(partial) });
  }
  sendJson(call, 200, { kind: kind.listKind, apiVersion: apiVersionOf(kind, version.name), metadata, items: objects });
}

function snapshotFor({ api, lists }: Server, call: Call, { kind, namespace }: Target): Snapshot {
  const token = call.query.get('continue');
  if (token) {
    const snapshot = lists.get(token);
    if (snapshot) return snapshot;
    const why =
      'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.';
    throw expired(why);
  }
  const { store } = api.rest;
  requireRevision(store, call.query.get('resourceVersion'));
  const items = store.list(kind.key, kind.namespaced ? namespace : undefined).filter(selectorOf(kind, call));
  return { items, revision: store.revision };
}

function keep(lists: Lists, snapshot: Snapshot): string {
  const token = randomUUID();
  lists.set(token, snapshot);
  const oldest = lists.keys().next().value;
  if (lists.size > snapshotsMax && oldest !== undefined) lists.delete(oldest);
  return token;
}
