import { type Call, readBody, readObject, sendJson } from './http-call.ts';
import { asJson } from './json.ts';
import { apiVersionOf, served } from './kinds.ts';
import { listObjects } from './lists.ts';
import type { DeleteOptions } from './rest.ts';
import { review } from './reviews.ts';
import type { Target } from './routes.ts';
import {
  isDryRun,
  notAllowed,
  patchedBy,
  readFor,
  readTarget,
  type Server,
  sendObject,
  writeOptions,
} from './serving.ts';
import { badRequest } from './status.ts';
import { handleSubresource } from './subresources.ts';
import { selectorOf, streamWatch } from './watch-stream.ts';

/** Answers a request for a resource. */
export async function handleResource(server: Server, call: Call, target: Target): Promise<void> {
  const { name, subresource, kind } = target;
  if (subresource !== undefined) return handleSubresource(server, call, target);
  if (kind.virtual) {
    if (call.method !== 'POST') throw notAllowed();
    return sendJson(call, 201, review(server.api, kind, await readObject(call), call.user));
  }
  if (name === undefined) return handleCollection(server, call, target);
  switch (call.method) {
    case 'GET':
      return sendObject(server, call, target, 200, readTarget(server, target));
    case 'PUT': {
      const object = await readFor(call, target);
      const written = server.api.rest.update(kind, target.version, object, writeOptions(call));
      return sendObject(server, call, target, 200, written.object, written.warnings);
    }
    case 'PATCH':
      return handlePatch(server, call, target);
    case 'DELETE': {
      const options = deleteOptions(call, await readBody(call));
      const { object, isGone } = server.api.rest.remove(kind, target.namespace ?? '', name, options);
      if (!isGone) return sendObject(server, call, target, 200, served(kind, target.version.name, object));
      const details = { name, group: kind.group, kind: kind.resource, uid: object.metadata.uid };
      return sendJson(call, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
    }
    default:
      throw notAllowed();
  }
}

async function handleCollection(server: Server, call: Call, target: Target): Promise<void> {
  const { kind, version } = target;
  switch (call.method) {
    case 'GET':
      if (['1', 'true'].includes(call.query.get('watch') ?? '')) return streamWatch(server, call, target);
      return listObjects(server, call, target);
    case 'POST': {
      const object = await readFor(call, target);
      const { object: created, warnings } = server.api.rest.create(kind, version, object, writeOptions(call));
      return sendObject(server, call, target, 201, created, warnings);
    }
    case 'DELETE': {
      const options = deleteOptions(call, await readBody(call));
      const select = selectorOf(kind, call);
      const items = server.api.rest.store.list(kind.key, kind.namespaced ? target.namespace : undefined).filter(select);
      for (const { metadata } of items) {
        server.api.rest.remove(kind, metadata.namespace ?? '', metadata.name, options);
      }
      const shown = items.map((item) => served(kind, version.name, item));
      const metadata = { resourceVersion: String(server.api.rest.store.revision) };
      return sendJson(call, 200, {
        kind: kind.listKind,
        apiVersion: apiVersionOf(kind, version.name),
        metadata,
        items: shown,
      });
    }
    default:
      throw notAllowed();
  }
}

function deleteOptions(call: Call, body: unknown): DeleteOptions {
  const options = asJson(body);
  const preconditions = asJson(options.preconditions);
  const { query } = call;
  const asked = options.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan = options.orphanDependents ?? query.get('orphanDependents') ?? undefined;
  const propagation = asked ?? (orphan === undefined ? undefined : String(orphan) === 'true' ? 'Orphan' : 'Background');
  if (!isPropagation(propagation)) throw badRequest(`invalid propagationPolicy: ${propagation}`);
  const grace = options.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined;
  const dryRun = Array.isArray(options.dryRun) ? options.dryRun.map(String) : query.getAll('dryRun');
  return {
    uid: preconditions.uid === undefined ? undefined : String(preconditions.uid),
    resourceVersion: preconditions.resourceVersion === undefined ? undefined : String(preconditions.resourceVersion),
    propagation,
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace),
    dryRun: isDryRun(dryRun),
  };
}

function isPropagation(value: unknown): value is DeleteOptions['propagation'] {
  return value === undefined || value === 'Background' || value === 'Foreground' || value === 'Orphan';
}

async function handlePatch(server: Server, call: Call, target: Target): Promise<void> {
  const current = readTarget(server, target);
  const patched = await patchedBy(call, target, current);
  const { object, warnings } = server.api.rest.update(target.kind, target.version, patched, writeOptions(call));
  return sendObject(server, call, target, 200, object, warnings);
}
