import { ApiError, type KubeObject } from './api.ts';
import { type Call, mediaTypeOf, readBody, readObject, type Server, sendJson, warningHeaders } from './http-call.ts';
import { asJson, isJson, type Json } from './json.ts';
import { apiVersionOf, served } from './kinds.ts';
import { jsonPatch, mergePatch, strategicPatch } from './patch.ts';
import { rendererFor } from './rendering.ts';
import type { WriteOptions, Written } from './rest.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';

/** PUT and PATCH of an object or of its status. */
export async function handleUpdate(server: Server, call: Call, target: Target, subresource: 'status' | undefined) {
  const { kind, version } = target;
  const sent =
    call.method === 'PUT' ? await readFor(call, target) : await patchedBy(call, target, readTarget(server, target));
  const written = server.api.rest.update(kind, version, sent, { ...writeOptions(call), subresource });
  sendWritten(server, call, target, 200, written);
}

export function notAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
}

export function readTarget({ api }: Server, { kind, version, namespace = '', name = '' }: Target): KubeObject {
  return served(kind, version.name, api.rest.read(kind, namespace, name));
}

export function sendObject(server: Server, call: Call, target: Target, object: KubeObject): void {
  sendWritten(server, call, target, 200, { object, warnings: [] });
}

export function sendWritten(
  server: Server,
  call: Call,
  target: Target,
  code: number,
  { object, warnings }: Written,
): void {
  sendJson(call, code, rendererFor(server, call, target).one(object), warningHeaders(warnings));
}

/** The body as an object of the target's kind. */
export async function readFor(call: Call, target: Target): Promise<Json> {
  return alignedWithPath(await readObject(call), target);
}

/** Checks kind, namespace and name against the path, and fills in what the path says. */
function alignedWithPath(object: Json, { kind, version, namespace, name }: Target): Json {
  const wanted = apiVersionOf(kind, version.name);
  const metadata = asJson(object.metadata);
  const aligned: Json = {
    ...object,
    apiVersion: object.apiVersion ?? wanted,
    kind: object.kind ?? kind.kind,
    metadata,
  };
  if (kind.namespaced && namespace !== undefined) metadata.namespace ||= namespace;
  if (name !== undefined) metadata.name ||= name;
  if (aligned.apiVersion !== wanted) {
    const why = `the API version in the data (${aligned.apiVersion}) does not match the expected API version (${wanted})`;
    throw badRequest(why);
  }
  if (aligned.kind !== kind.kind) {
    throw badRequest(`${aligned.kind} in version "${version.name}" cannot be handled as a ${kind.kind}`);
  }
  if (kind.namespaced && namespace !== undefined && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (name !== undefined && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  return aligned;
}

export function isDryRun(values: readonly unknown[]): boolean {
  if (values.every((value) => value === 'All')) return values.length > 0;
  throw badRequest(`invalid dryRun: ${values.join(', ')}: the only value is All`);
}

export function writeOptions({ query }: Call): WriteOptions {
  const fieldValidation = query.get('fieldValidation') ?? 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw badRequest(`fieldValidation: Unsupported value: "${fieldValidation}"`);
  }
  return { dryRun: isDryRun(query.getAll('dryRun')), fieldValidation };
}

const applyHint =
  'server-side apply (application/apply-patch+yaml) is not supported by the local cluster: use client-side apply (kubectl apply without --server-side)';

const patches: Readonly<Record<string, (target: KubeObject, patch: unknown) => unknown>> = {
  'application/json-patch+json': jsonPatch,
  'application/merge-patch+json': mergePatch,
  'application/strategic-merge-patch+json': (target, patch) => strategicPatch(target, asJson(patch)),
};

/** The object after the request's patch. */
export async function patchedBy(call: Call, target: Target, current: KubeObject): Promise<Json> {
  const type = mediaTypeOf(call.request.headers['content-type']);
  const accepted = Object.keys(patches).filter((one) => !(target.kind.custom && one.includes('strategic')));
  const apply = accepted.includes(type) ? patches[type] : undefined;
  if (apply === undefined) {
    const hint = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
    throw new ApiError(415, 'UnsupportedMediaType', type.startsWith('application/apply-patch') ? applyHint : hint);
  }
  const patched = apply(current, await readBody(call));
  if (isJson(patched)) return alignedWithPath(patched, target);
  throw badRequest('the patch does not leave an object');
}
