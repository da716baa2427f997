import { type Call, isOn, readBody, readObject, type Server, sendJson } from './http-call.ts';
import { asJson, type Json } from './json.ts';
import { listObjects, selectorOf } from './lists.ts';
import {
  handleUpdate,
  isDryRun,
  notAllowed,
  readFor,
  readTarget,
  sendObject,
  sendWritten,
  writeOptions,
} from './object-requests.ts';
import { rendererFor } from './rendering.ts';
import type { DeleteOptions } from './rest.ts';
import { review } from './reviews.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';
import { handleSubresource } from './subresources.ts';
import { streamWatch } from './watch-stream.ts';

/** Answers a request for a resource. */
export async function handleResource(server: Server, call: Call, target: Target): Promise<void> {
  const { name, subresource, kind } = target;
  if (subresource !== undefined) return handleSubresource(server, call, target);
  if (kind.virtual && call.method === 'POST') {
    return sendJson(call, 201, review(server.api, kind, await readObject(call), call.user));
  }
  if (kind.virtual) throw notAllowed();
  return name === undefined ? handleCollection(server, call, target) : handleObject(server, call, target, name);
}

async function handleObject(server: Server, call: Call, target: Target, name: string): Promise<void> {
  const { kind, namespace = '' } = target;
  switch (call.method) {
    case 'GET':
      return sendObject(server, call, target, readTarget(server, target));
    case 'PUT':
    case 'PATCH':
      return handleUpdate(server, call, target, undefined);
    case 'DELETE': {
      const { object, isGone } = server.api.rest.remove(
        kind,
        namespace,
        name,
        deleteOptions(call, await readBody(call)),
      );
      if (!isGone) return sendObject(server, call, target, object);
      const details = { name, group: kind.group, kind: kind.resource, uid: object.metadata.uid };
      return sendJson(call, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
    }
    default:
      throw notAllowed();
  }
}

async function handleCollection(server: Server, call: Call, target: Target): Promise<void> {
  const { kind, version } = target;
  const { rest } = server.api;
  switch (call.method) {
    case 'GET':
      if (isOn(call, 'watch')) return streamWatch(server, call, target);
      return listObjects(server, call, target);
    case 'POST': {
      const written = rest.create(kind, version, await readFor(call, target), writeOptions(call));
      return sendWritten(server, call, target, 201, written);
    }
    case 'DELETE': {
      const options = deleteOptions(call, await readBody(call));
      const items = rest.store.list(kind.key, undefined).filter(selectorOf(call, target));
      for (const { metadata } of items) rest.remove(kind, metadata.namespace ?? '', metadata.name, options);
      const metadata = { resourceVersion: String(rest.store.revision) };
      return sendJson(call, 200, rendererFor(server, call, target).list(items, metadata));
    }
    default:
      throw notAllowed();
  }
}

function deleteOptions({ query }: Call, body: unknown): DeleteOptions {
  const options = { ...Object.fromEntries(query), ...asJson(body) } as Json;
  const { propagationPolicy, gracePeriodSeconds, dryRun = [] } = options;
  const { uid, resourceVersion } = asJson(options.preconditions);
  const propagation = ['Background', 'Foreground', 'Orphan'].find((policy) => policy === propagationPolicy);
  if (propagationPolicy !== propagation) throw badRequest(`invalid propagationPolicy: ${propagationPolicy}`);
  const text = (value: unknown) => (value === undefined ? undefined : String(value));
  return {
    uid: text(uid),
    resourceVersion: text(resourceVersion),
    propagation: propagation as DeleteOptions['propagation'],
    gracePeriodSeconds: gracePeriodSeconds === undefined ? undefined : Number(gracePeriodSeconds),
    dryRun: isDryRun([dryRun].flat()),
  };
}
