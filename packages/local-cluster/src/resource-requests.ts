import type { Clock } from '@roundhouse/base';
import { ApiError, type KubeObject, type PodLogs } from './api.ts';
import type { DeleteOptions, LocalApi, WriteOptions } from './create-api.ts';
import { type Call, mediaTypeOf, readBody, readObject, sendJson, shapeOf, warningHeaders } from './http-call.ts';
import { asJson, isJson, type Json } from './json.ts';
import { apiVersionOf, served } from './kinds.ts';
import { type Lists, listObjects } from './lists.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patch.ts';
import { review } from './reviews.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';
import { handleSubresource } from './subresources.ts';
import { columnsFor, partial, tableOf } from './tables.ts';
import { selectorOf, streamWatch } from './watch-stream.ts';

export type Server = {
  readonly api: LocalApi;
  readonly clock: Clock;
  readonly logs: PodLogs | undefined;
  readonly lists: Lists;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
};

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

export function notAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}

export function readTarget({ api }: Server, { kind, version, namespace = '', name = '' }: Target): KubeObject {
  return served(kind, version.name, api.rest.read(kind, namespace, name));
}

/** The body as an object of the target's kind, its name and namespace checked against the path. */
export async function readFor(call: Call, target: Target): Promise<Json> {
  const object = await readObject(call);
  alignWithPath(object, target);
  return object;
}

function alignWithPath(object: Json, { kind, version, namespace, name }: Target): void {
  const wanted = apiVersionOf(kind, version.name);
  object.apiVersion ??= wanted;
  object.kind ??= kind.kind;
  if (object.apiVersion !== wanted) {
    const why = `the API version in the data (${object.apiVersion}) does not match the expected API version (${wanted})`;
    throw badRequest(why);
  }
  if (object.kind !== kind.kind) {
    throw badRequest(`${object.kind} in version "${version.name}" cannot be handled as a ${kind.kind}`);
  }
  const metadata = isJson(object.metadata) ? object.metadata : {};
  object.metadata = metadata;
  if (kind.namespaced && namespace !== undefined) {
    metadata.namespace ||= namespace;
    if (metadata.namespace !== namespace) {
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    }
  }
  if (name === undefined) return;
  metadata.name ||= name;
  if (metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
}

function isDryRun(values: readonly string[]): boolean {
  if (values.length === 0) return false;
  if (values.every((value) => value === 'All')) return true;
  throw badRequest(`invalid dryRun: ${values.join(', ')}: the only value is All`);
}

export function writeOptions(call: Call): WriteOptions {
  const fieldValidation = call.query.get('fieldValidation') ?? 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw badRequest(`fieldValidation: Unsupported value: "${fieldValidation}"`);
  }
  return { dryRun: isDryRun(call.query.getAll('dryRun')), fieldValidation };
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

const applyHint =
  'server-side apply (application/apply-patch+yaml) is not supported by the local cluster: use client-side apply (kubectl apply without --server-side)';

/** The object after the request's patch. */
export async function patchedBy(call: Call, target: Target, current: KubeObject): Promise<Json> {
  const type = mediaTypeOf(call.request.headers['content-type']);
  const accepted = ['application/json-patch+json', 'application/merge-patch+json'];
  if (!target.kind.custom) accepted.push('application/strategic-merge-patch+json');
  if (!accepted.includes(type)) {
    const why = type.startsWith('application/apply-patch')
      ? applyHint
      : `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
    throw new ApiError(415, 'UnsupportedMediaType', why);
  }
  const patch = await readBody(call);
  const patched =
    type === 'application/json-patch+json'
      ? jsonPatch(current, patch)
      : type === 'application/merge-patch+json'
        ? mergePatch(current, patch)
        : strategicPatch(current, asJson(patch));
  if (!isJson(patched)) throw badRequest('the patch does not leave an object');
  alignWithPath(patched, target);
  return patched;
}

/** Sends one object in the shape that the client asked for. */
export function sendObject(
  server: Server,
  call: Call,
  { kind, version }: Target,
  code: number,
  object: KubeObject,
  warnings: readonly string[] = [],
) {
  const shape = shapeOf(call);
  const headers = warningHeaders(warnings);
  if (shape === 'partial') return sendJson(call, code, partial(object), headers);
  if (shape === 'object') return sendJson(call, code, object, headers);
  const table = tableOf(columnsFor(kind, version), [object], {
    include: call.query.get('includeObject') ?? 'Metadata',
    nowMs: server.clock.now(),
    withColumns: true,
    metadata: { resourceVersion: object.metadata.resourceVersion },
  });
  sendJson(call, code, table, headers);
}
