import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from './api.ts';
import { type Call, isOn, numberOf, type Server } from './http-call.ts';
import { jsons, valueAt } from './json.ts';
import { readTarget } from './object-requests.ts';
import type { Target } from './routes.ts';
import { badRequest } from './status.ts';

/** Streams a container's log from the node. */
export async function sendPodLog(server: Server, call: Call, target: Target): Promise<void> {
  const pod = readTarget(server, target);
  const { query, response } = call;
  const { name } = pod.metadata;
  const names = ['initContainers', 'containers']
    .flatMap((list) => jsons(valueAt(pod, `spec.${list}`)))
    .map((container) => String(container.name));
  const container = query.get('container') ?? (names.length === 1 ? names[0] : undefined);
  if (container === undefined) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  }
  if (!names.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
  if (!server.logs) throw new ApiError(501, 'NotImplemented', 'this API server has no node, so there are no logs');
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the client left')));
  const signal = AbortSignal.any([gone.signal, server.closing]);
  const lines = server.logs.read(
    {
      namespace: target.namespace ?? '',
      pod: name,
      container,
      follow: isOn(call, 'follow'),
      previous: isOn(call, 'previous'),
      tailLines: numberOf(call, 'tailLines'),
      sinceSeconds: numberOf(call, 'sinceSeconds'),
      timestamps: isOn(call, 'timestamps'),
    },
    signal,
  );
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  try {
    await pipeline(Readable.from(limited(lines, numberOf(call, 'limitBytes') ?? Number.POSITIVE_INFINITY)), response);
  } catch (error) {
    if (!signal.aborted) throw error;
    response.end();
  }
}

async function* limited(lines: AsyncIterable<string>, sizeBytesMax: number): AsyncGenerator<Buffer> {
  let leftBytes = sizeBytesMax;
  for await (const line of lines) {
    const bytes = Buffer.from(line.endsWith('\n') ? line : `${line}\n`).subarray(0, leftBytes);
    leftBytes -= bytes.length;
    yield bytes;
    if (leftBytes <= 0) return;
  }
}
