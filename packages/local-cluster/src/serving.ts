import type { Clock } from '@roundhouse/base';
import { ApiError, type KubeObject, type PodLogs } from './api.ts';
import type { LocalApi } from './create-api.ts';
import { type Call, mediaTypeOf, readBody, readObject, sendJson, shapeOf, warningHeaders } from './http-call.ts';
import { asJson, isJson, type Json } from './json.ts';
import { apiVersionOf, served } from './kinds.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patch.ts';
import type { WriteOptions } from './rest.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';
import { columnsFor, partial, tableOf } from './tables.ts';

export type Snapshot = { readonly items: readonly KubeObject[]; readonly revision: number };

/** Lists that clients read in pieces: the rest of each, as it was when the list began. */
export type Lists = Map<string, Snapshot>;

export type Server = {
  readonly api: LocalApi;
  readonly clock: Clock;
  readonly logs: PodLogs | undefined;
  readonly lists: Lists;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
};

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

export function isDryRun(values: readonly string[]): boolean {
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
