import { ApiError } from './api.ts';
import { type Call, readObject, sendJson } from './http-call.ts';
import { asJson, copyOf, type Json, setAt, valueAt } from './json.ts';
import type { ScalePaths } from './kinds.ts';
import { sendPodLog } from './pod-log.ts';
import { requestToken } from './reviews.ts';
import type { Target } from './routes.ts';
import { notAllowed, patchedBy, readFor, readTarget, type Server, sendObject, writeOptions } from './serving.ts';
import { badRequest } from './status.ts';

const refused: readonly string[] = ['exec', 'attach', 'portforward', 'proxy', 'ephemeralcontainers'];

/** Answers a request for a part of an object, such as its status. */
export async function handleSubresource(server: Server, call: Call, target: Target): Promise<void> {
  const { kind, version, subresource = '' } = target;
  const place = `${kind.key}/${subresource}`;
  if (subresource === 'status' && version.status) return handleStatus(server, call, target);
  if (subresource === 'scale' && version.scale) return handleScale(server, call, target, version.scale);
  if (place === '/pods/log' && call.method === 'GET') return sendPodLog(server, call, target);
  if (place === '/serviceaccounts/token' && call.method === 'POST') {
    return sendJson(call, 201, requestToken(server.api, kind, readTarget(server, target), await readObject(call)));
  }
  if (place === '/pods/binding' && call.method === 'POST') {
    const nodeName = valueAt(await readObject(call), 'target.name');
    if (typeof nodeName !== 'string') throw badRequest('target.name: Required value');
    const pod = copyOf(readTarget(server, target)) as Json;
    asJson(pod.spec).nodeName = nodeName;
    server.api.rest.update(kind, version, pod);
    return sendJson(call, 201, success);
  }
  if (place === '/pods/eviction' && call.method === 'POST') {
    const options = asJson((await readObject(call)).deleteOptions);
    const grace = options.gracePeriodSeconds;
    server.api.rest.remove(kind, target.namespace ?? '', target.name ?? '', {
      ...(grace !== undefined && { gracePeriodSeconds: Number(grace) }),
    });
    return sendJson(call, 201, success);
  }
  if (kind.key === '/pods' && refused.includes(subresource)) {
    const why = `the local cluster does not support ${subresource}: containers are processes of this machine, reach them there`;
    throw new ApiError(501, 'NotImplemented', why);
  }
  throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
}

const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 };

async function handleStatus(server: Server, call: Call, target: Target): Promise<void> {
  const options = { ...writeOptions(call), subresource: 'status' as const };
  switch (call.method) {
    case 'GET':
      return sendObject(server, call, target, 200, readTarget(server, target));
    case 'PUT': {
      const { object, warnings } = server.api.rest.update(
        target.kind,
        target.version,
        await readFor(call, target),
        options,
      );
      return sendObject(server, call, target, 200, object, warnings);
    }
    case 'PATCH': {
      const patched = await patchedBy(call, target, readTarget(server, target));
      const { object, warnings } = server.api.rest.update(target.kind, target.version, patched, options);
      return sendObject(server, call, target, 200, object, warnings);
    }
    default:
      throw notAllowed();
  }
}

async function handleScale(server: Server, call: Call, target: Target, paths: ScalePaths): Promise<void> {
  const object = copyOf(readTarget(server, target)) as Json;
  const scale = scaleOf(object, paths);
  if (call.method === 'GET') return sendJson(call, 200, scale);
  if (call.method !== 'PUT' && call.method !== 'PATCH') throw notAllowed();
  const sent =
    call.method === 'PUT'
      ? await readObject(call)
      : await patchedBy(
          call,
          { ...target, kind: scaleKind(target), version: { name: 'v1', status: true } },
          scale as never,
        );
  const replicas = valueAt(sent, 'spec.replicas') ?? 0;
  const { name } = asJson(object.metadata);
  if (!Number.isInteger(replicas) || Number(replicas) < 0) {
    throw badRequest(
      `Scale "${name}" is invalid: spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`,
    );
  }
  const resourceVersion = valueAt(sent, 'metadata.resourceVersion');
  if (resourceVersion !== undefined) asJson(object.metadata).resourceVersion = resourceVersion;
  setAt(object, paths.specReplicas, replicas);
  const { object: written } = server.api.rest.update(target.kind, target.version, object, writeOptions(call));
  sendJson(call, 200, scaleOf(written as Json, paths));
}

function scaleKind({ kind }: Target): Target['kind'] {
  return { ...kind, group: 'autoscaling', kind: 'Scale', custom: false };
}

function scaleOf(object: Json, paths: ScalePaths): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = asJson(object.metadata);
  const selector = paths.selector
    ? valueAt(object, paths.selector)
    : Object.entries(asJson(valueAt(object, 'spec.selector.matchLabels')))
        .map(([key, value]) => `${key}=${value}`)
        .join(',');
  const replicas = valueAt(object, paths.specReplicas);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas ? { replicas } : {},
    status: { replicas: valueAt(object, paths.statusReplicas) ?? 0, ...(selector ? { selector } : {}) },
  };
}
