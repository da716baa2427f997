import { ApiError } from './api.ts';
import { selectorText } from './columns.ts';
import { type Call, readObject, type Server, sendJson } from './http-call.ts';
import { asJson, copyOf, type Json, setAt, valueAt } from './json.ts';
import type { ScalePaths } from './kinds.ts';
import { handleUpdate, notAllowed, patchedBy, readTarget, sendObject, writeOptions } from './object-requests.ts';
import { sendPodLog } from './pod-log.ts';
import { requestToken } from './reviews.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';

/** Answers a request for a part of an object, such as its status. */
export async function handleSubresource(server: Server, call: Call, target: Target): Promise<void> {
  const { kind, version, subresource = '' } = target;
  const place = `${call.method} ${kind.key}/${subresource}`;
  if (subresource === 'status' && version.status) return handleStatus(server, call, target);
  if (subresource === 'scale' && version.scale) return handleScale(server, call, target, version.scale);
  if (place === 'GET /pods/log') return sendPodLog(server, call, target);
  if (place === 'POST /serviceaccounts/token') {
    return sendJson(call, 201, requestToken(server.api, kind, readTarget(server, target), await readObject(call)));
  }
  if (kind.key !== '/pods') throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
  const why = `the local cluster does not support ${subresource}: containers are processes of this machine, reach them there`;
  throw new ApiError(501, 'NotImplemented', why);
}

async function handleStatus(server: Server, call: Call, target: Target): Promise<void> {
  if (call.method === 'GET') return sendObject(server, call, target, readTarget(server, target));
  if (call.method === 'PUT' || call.method === 'PATCH') return handleUpdate(server, call, target, 'status');
  throw notAllowed();
}

async function handleScale(server: Server, call: Call, target: Target, paths: ScalePaths): Promise<void> {
  const object = copyOf(readTarget(server, target)) as Json;
  const scale = scaleOf(object, paths);
  if (call.method === 'GET') return sendJson(call, 200, scale);
  if (call.method !== 'PUT' && call.method !== 'PATCH') throw notAllowed();
  const asScale = { ...target, kind: scaleKind(target), version: { ...target.version, name: 'v1' } };
  const sent = call.method === 'PUT' ? await readObject(call) : await patchedBy(call, asScale, scale as never);
  const replicas = valueAt(sent, 'spec.replicas') ?? 0;
  if (!Number.isInteger(replicas) || Number(replicas) < 0) {
    const why = `spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`;
    throw badRequest(`Scale "${target.name}" is invalid: ${why}`);
  }
  const resourceVersion = valueAt(sent, 'metadata.resourceVersion');
  if (resourceVersion !== undefined) asJson(object.metadata).resourceVersion = resourceVersion;
  setAt(object, paths.specReplicas, replicas);
  const { object: written } = server.api.rest.update(target.kind, target.version, object, writeOptions(call));
  sendJson(call, 200, scaleOf(written, paths));
}

function scaleKind({ kind }: Target): Target['kind'] {
  return { ...kind, group: 'autoscaling', kind: 'Scale', custom: false };
}

function scaleOf(object: Json, paths: ScalePaths): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = asJson(object.metadata);
  const matched = valueAt(object, 'spec.selector.matchLabels');
  const selector = paths.selector ? valueAt(object, paths.selector) : selectorText(matched);
  const replicas = valueAt(object, paths.specReplicas);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas ? { replicas } : {},
    status: { replicas: valueAt(object, paths.statusReplicas) ?? 0, ...(selector ? { selector } : {}) },
  };
}
