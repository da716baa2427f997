import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server as HttpServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@roundhouse/base';
import { ApiError, type PodLogs } from './api.ts';
import { selfSignedCertificate } from './certificate.ts';
import type { LocalApi } from './create-api.ts';
import { apiGroup, apiResourceList, groupDiscovery, groupsOf, version } from './discovery.ts';
import { type Call, sendError, sendJson, sendText } from './http-call.ts';
import { openApiFor, openApiIndex, openApiV2 } from './openapi.ts';
import { handleResource } from './resource-requests.ts';
import type { User } from './reviews.ts';
import { parseTarget } from './routes.ts';
import type { Server } from './serving.ts';
import { apiAudience } from './tokens.ts';

export type ServeOptions = {
  readonly api: LocalApi;
  readonly clock: Clock;
  /** Where container logs come from; without it logs are refused. */
  readonly logs?: PodLogs;
  /** Who holds it may do everything. ServiceAccounts' tokens may as well: RBAC is not enforced. */
  readonly adminToken: string;
  /** 0 takes a free one. Always on 127.0.0.1. */
  readonly port: number;
};

/** How long `close` lets answers finish. */
const closeTimeoutMs = 2_000;

/**
 * Serves the API over HTTPS on 127.0.0.1. `ca` is the PEM text of the certificate to trust, the same each time for one store:
 * kubectl sends no token over plain HTTP.
 */
export async function serveApi(
  options: ServeOptions,
): Promise<{ readonly url: string; readonly ca: string; close(): Promise<void> }> {
  const closing = new AbortController();
  const { api, clock, logs } = options;
  const server: Server = { api, clock, logs, lists: new Map(), closing: closing.signal };
  const made = api.rest.store.setting('tls', () => JSON.stringify(selfSignedCertificate(clock.now())));
  const { certificate, key } = JSON.parse(made) as ReturnType<typeof selfSignedCertificate>;
  const http = createServer({ cert: certificate, key, keepAliveTimeout: 60_000 }, (request, response) => {
    void handle(server, options.adminToken, request, response);
  });
  await listen(http, options.port);
  const { port } = http.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}`,
    ca: certificate,
    async close() {
      closing.abort(new Error('the API server is closing'));
      const cancel = clock.after(closeTimeoutMs, () => http.closeAllConnections());
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeIdleConnections();
      await closed;
      cancel();
    },
  };
}

function listen(http: HttpServer, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, '127.0.0.1', () => {
      http.off('error', reject);
      resolve();
    });
  });
}

async function handle(server: Server, adminToken: string, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const path = url.pathname.replace(/(?<=.)\/+$/, '');
  const anonymous = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
  const call: Call = {
    method: request.method ?? 'GET',
    path,
    query: url.searchParams,
    request,
    response,
    user: anonymous,
  };
  try {
    if (/^\/(livez|readyz|healthz)(\/|$)/.test(path)) return sendText(call, 200, 'ok');
    if (path === '/version') return sendJson(call, 200, version);
    const user = authenticate(server.api, adminToken, request.headers.authorization);
    await route(server, { ...call, user });
  } catch (error) {
    sendError(call, error);
  }
}

function authenticate(api: LocalApi, adminToken: string, header: string | undefined): User {
  const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1] ?? '';
  const [given, wanted] = [Buffer.from(token), Buffer.from(adminToken)];
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) {
    return { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
  }
  const identity = token === '' ? 'no token' : api.tokens.identify(token);
  if (typeof identity === 'string' || !identity.audiences.includes(apiAudience)) {
    throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  }
  const { audiences: _audiences, ...user } = identity;
  return user;
}

async function route(server: Server, call: Call): Promise<void> {
  if (call.path.startsWith('/openapi/')) return sendOpenApi(server, call);
  const target = parseTarget(server.api.rest.kinds, call.path);
  if (target) return handleResource(server, call, target);
  const document = call.method === 'GET' ? discoveryAt(server, call) : undefined;
  if (!document) throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
  const isAggregated = document.kind === 'APIGroupDiscoveryList';
  const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  sendJson(call, 200, document, isAggregated ? { 'content-type': type } : {});
}

function discoveryAt({ api }: Server, { path, request }: Call): Record<string, unknown> | undefined {
  const { kinds } = api.rest;
  const wantsAggregated = /g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList/.test(request.headers.accept ?? '');
  const [, root, group, versionName, ...rest] = path.split('/');
  if (rest.length > 0) return undefined;
  if (root === 'api' && group === undefined) {
    if (wantsAggregated) return groupDiscovery(kinds, true);
    return { kind: 'APIVersions', apiVersion: 'v1', versions: ['v1'], serverAddressByClientCIDRs: [] };
  }
  if (root === 'api') return versionName === undefined ? apiResourceList(kinds, '', group ?? '') : undefined;
  if (root === 'apis' && group === undefined) {
    if (wantsAggregated) return groupDiscovery(kinds, false);
    const groups = groupsOf(kinds).map((item) => ({ ...apiGroup(item), kind: undefined, apiVersion: undefined }));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups };
  }
  if (root === 'apis' && versionName === undefined) {
    const found = groupsOf(kinds).find(({ name }) => name === group);
    return found && apiGroup(found);
  }
  if (root === 'apis') return apiResourceList(kinds, group ?? '', versionName ?? '');
  return path === '/'
    ? { paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/readyz', '/version'] }
    : undefined;
}

function sendOpenApi({ api }: Server, call: Call) {
  const { kinds } = api.rest;
  const place = call.path.slice('/openapi/'.length);
  if (place === 'v3') return sendJson(call, 200, openApiIndex(kinds));
  const document = place.startsWith('v3/') ? openApiFor(kinds, place.slice(3)) : undefined;
  if (document) return sendJson(call, 200, document);
  if (place === 'v2' && /json|\*\/\*/.test(call.request.headers.accept ?? '*/*')) {
    return sendJson(call, 200, openApiV2(kinds));
  }
  if (place === 'v2') throw new ApiError(406, 'NotAcceptable', 'OpenAPI v2 is served as JSON only');
  throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
}
