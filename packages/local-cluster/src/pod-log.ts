import { ApiError } from './api.ts';
import type { Call } from './http-call.ts';
import { asJson, asList } from './json.ts';
import type { Target } from './routes.ts';
import { readTarget, type Server } from './serving.ts';
import { badRequest } from './status.ts';

/** Streams a container's log from the node. */
export async function sendPodLog(server: Server, call: Call, target: Target): Promise<void> {
  const pod = readTarget(server, target);
  const { query, response } = call;
  const names = [...asList(asJson(pod.spec).initContainers), ...asList(asJson(pod.spec).containers)].map((item) =>
    String(asJson(item).name),
  );
  const container = query.get('container') ?? (names.length === 1 ? names[0] : undefined);
  const { name } = pod.metadata;
  if (container === undefined) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  }
  if (!names.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`);
  if (!server.logs) throw new ApiError(501, 'NotImplemented', 'this API server has no node, so there are no logs');
  const isOn = (parameter: string) => ['1', 'true'].includes(query.get(parameter) ?? '');
  const number = (parameter: string) => (query.get(parameter) ? Number(query.get(parameter)) : undefined);
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the client left')));
  const signal = AbortSignal.any([gone.signal, server.closing]);
  const lines = server.logs.read(
    {
      namespace: target.namespace ?? '',
      pod: name,
      container,
      follow: isOn('follow'),
      previous: isOn('previous'),
      tailLines: number('tailLines'),
      sinceSeconds: number('sinceSeconds'),
      timestamps: isOn('timestamps'),
    },
    signal,
  );
  await sendLines(response, lines, number('limitBytes') ?? Number.POSITIVE_INFINITY, signal);
}

async function sendLines(
  response: Call['response'],
  lines: AsyncIterable<string>,
  sizeBytesMax: number,
  signal: AbortSignal,
): Promise<void> {
  let leftBytes = sizeBytesMax;
  try {
    // The first line decides between a log and an error, so headers wait for it no longer than the node takes to look.
    for await (const line of lines) {
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
      const bytes = Buffer.from(line.endsWith('\n') ? line : `${line}\n`).subarray(0, leftBytes);
      leftBytes -= bytes.length;
      if (!response.write(bytes)) await drained(response, signal);
      if (leftBytes <= 0) break;
    }
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
    response.end();
  } catch (error) {
    if (!signal.aborted) throw error;
    response.end();
  }
}

function drained(response: Call['response'], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
