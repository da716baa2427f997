import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@roundhouse/base';
import { ApiError, type PodLogs } from './api.ts';
import { selfSignedCertificate } from './certificate.ts';
import type { LocalApi } from './create-api.ts';
import { apiGroup, apiResourceList, groupDiscovery, groupsOf, version } from './discovery.ts';
import { type Call, type Server, sendError, sendJson } from './http-call.ts';
import type { Json } from './json.ts';
import { openApiFor, openApiIndex } from './openapi.ts';
import { handleResource } from './requests.ts';
import { parseTarget } from './routes.ts';
import { apiAudience, type User } from './tokens.ts';

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
  const { certificate, key } = await tlsOf(api, clock);
  const http = createServer({ cert: certificate, key, keepAliveTimeout: 60_000 }, (request, response) => {
    void handle(server, options.adminToken, request, response);
  });
  http.listen(options.port, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `https://127.0.0.1:${(http.address() as AddressInfo).port}`,
    ca: certificate,
    async close() {
      closing.abort(new Error('the API server is closing'));
      const cancel = clock.after(closeTimeoutMs, () => http.closeAllConnections());
      const closed = once(http, 'close');
      http.close();
      http.closeIdleConnections();
      await closed;
      cancel();
    },
  };
}

/** The certificate and key that are kept in the store. */
async function tlsOf({ rest }: LocalApi, clock: Clock): Promise<{ certificate: string; key: string }> {
  const kept = rest.store.setting('tls') ?? JSON.stringify(await selfSignedCertificate(clock.now()));
  return JSON.parse(rest.store.setting('tls', kept));
}

async function handle(server: Server, adminToken: string, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const path = url.pathname.replace(/(?<=.)\/+$/, '');
  const user = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
  const call: Call = { method: request.method ?? 'GET', path, query: url.searchParams, request, response, user };
  try {
    if (/^\/(livez|readyz|healthz)(\/|$)/.test(path)) response.end('ok');
    else if (path === '/version') sendJson(call, 200, version);
    else await route(server, { ...call, user: authenticate(server.api, adminToken, request.headers.authorization) });
  } catch (error) {
    sendError(call, error);
  }
}

function authenticate(api: LocalApi, adminToken: string, header = ''): User {
  const token = /^Bearer (.+)$/i.exec(header)?.[1] ?? '';
  const [given, wanted] = [Buffer.from(token), Buffer.from(adminToken)];
  if (given.length === wanted.length && timingSafeEqual(given, wanted)) {
    return { username: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
  }
  const identity = token === '' ? 'no token' : api.tokens.identify(token);
  if (typeof identity !== 'string' && identity.audiences.includes(apiAudience)) return identity.user;
  throw new ApiError(401, 'Unauthorized', 'Unauthorized');
}

async function route(server: Server, call: Call): Promise<void> {
  const target = parseTarget(server.api.rest.kinds, call.path);
  if (target) return handleResource(server, call, target);
  const document = call.method === 'GET' ? documentAt(server, call) : undefined;
  if (!document) throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
  const isAggregated = document.kind === 'APIGroupDiscoveryList';
  const type = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  sendJson(call, 200, document, isAggregated ? { 'content-type': type } : {});
}

/** What describes the API itself. */
function documentAt({ api }: Server, { path, request }: Call): Json | undefined {
  const { kinds } = api.rest;
  const groups = groupsOf(kinds);
  const isAggregated = /g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList/.test(request.headers.accept ?? '');
  if ((path === '/api' || path === '/apis') && isAggregated) return groupDiscovery(kinds, path === '/api');
  if (path === '/openapi/v3') return openApiIndex(kinds);
  if (path.startsWith('/openapi/v3/')) return openApiFor(kinds, path.slice('/openapi/v3/'.length));
  if (path === '/api') return { kind: 'APIVersions', apiVersion: 'v1', versions: groups.get('') };
  if (path === '/apis') {
    const named = [...groups].filter(([name]) => name !== '');
    const list = named.map(([name, versions]) => ({
      ...apiGroup(name, versions),
      kind: undefined,
      apiVersion: undefined,
    }));
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: list };
  }
  const [, root, group = '', groupVersion, ...rest] = path.split('/');
  if (rest.length > 0) return undefined;
  if (root === 'api' && groupVersion === undefined) return apiResourceList(kinds, '', group);
  const versions = root === 'apis' ? groups.get(group) : undefined;
  if (versions === undefined) return undefined;
  return groupVersion === undefined ? apiGroup(group, versions) : apiResourceList(kinds, group, groupVersion);
}
