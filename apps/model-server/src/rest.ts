import { messageOf } from '@roundhouse/base';
import { httpStatusOf, InferenceError, jsonLengthHeader } from '@roundhouse/v2-protocol';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { readBody } from './body.ts';
import { metricsText } from './counters.ts';
import { ModelRefused } from './model.ts';
import { v1Routes } from './rest-v1.ts';
import { v2Routes } from './rest-v2.ts';
import type { Route, ServeDeps } from './route.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

export function createRest(deps: ServeDeps): FastifyInstance {
  const app = fastify({
    bodyLimit: deps.bodyBytesMax,
    // An agent keeps connections open; closing an idle one could meet a request on its way.
    keepAliveTimeout: 600_000,
    requestTimeout: 300_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
  });
  // Clients send JSON under any type, or none.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, _request, reply) => sendError(reply, error));
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'there is nothing at this path' }));
  const routes = [...v1Routes(deps), ...v2Routes(deps), ...serverRoutes(deps)];
  for (const { method, path, handle } of routes)
    app.route({ method, url: path, handler: (request, reply) => serve(request, reply, handle, deps.bodyBytesMax) });
  for (const [path, group] of Map.groupBy(routes, (route) => route.path)) refuseOthers(app, path, group);
  return app;
}

/** A known path with another method is a 405 that names the right one, not a 404. */
function refuseOthers(app: FastifyInstance, url: string, routes: readonly Route[]) {
  const taken: readonly string[] = routes.map(({ method }) => method);
  app.route({
    method: methods.filter((method) => !taken.includes(method)),
    url,
    handler: (_request, reply) =>
      reply
        .code(405)
        .header('allow', taken.join(', '))
        .send({ error: `use ${taken.join(' or ')} here` }),
  });
}

function serverRoutes({ repository, counters }: ServeDeps): Route[] {
  return [
    { method: 'GET', path: '/', handle: () => ({ json: { status: 'alive' } }) },
    {
      method: 'GET',
      path: '/metrics',
      handle: () => ({
        body: metricsText(counters, repository.names().length),
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
      }),
    },
  ];
}

async function serve(request: FastifyRequest, reply: FastifyReply, handle: Route['handle'], bodyBytesMax: number) {
  const { headers } = request;
  const length = headers[jsonLengthHeader];
  const answer = await handle({
    params: request.params as Record<string, string>,
    body: await readBody(request.body, headers['content-encoding'], bodyBytesMax),
    jsonLength: typeof length === 'string' ? length : undefined,
  });
  if ('json' in answer) return reply.send(answer.json);
  if (answer.jsonLength !== undefined) {
    reply.header(jsonLengthHeader, answer.jsonLength).type('application/octet-stream');
    return reply.send(answer.body);
  }
  return reply.type(answer.contentType ?? 'application/json').send(answer.body);
}

function sendError(reply: FastifyReply, error: unknown) {
  return reply.code(statusOf(error)).send({ error: messageOf(error) });
}

/** 507 is WebDAV's "Insufficient Storage", the one status that says what is lacking (RFC 4918, section 11.5). */
const refusals: Readonly<Record<ModelRefused['code'], number>> = {
  'model/not-found': 404,
  'model/invalid': 400,
  'model/unsupported': 400,
  'model/no-space': 507,
};

function statusOf(error: unknown): number {
  if (error instanceof InferenceError) return httpStatusOf(error.code);
  if (error instanceof ModelRefused) return refusals[error.code];
  const status = (error as { statusCode?: unknown }).statusCode;
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500;
}
