import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { checkedLookup, checkHost } from './address.ts';
import { StorageError, unavailable } from './error.ts';

export type Tls = { readonly verify: boolean; readonly ca: string | undefined };

export type HttpRequest = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable;
};

export type HttpResponse = {
  readonly status: number;
  header(name: string): string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** To be read to its end or destroyed. */
  readonly body: Readable & { text(): Promise<string>; dump(): Promise<void> };
};

/** One HTTP stack for all stores, so that the check of addresses, deadlines and connections are the same everywhere. */
export type Http = {
  /** One exchange; redirects are not followed. Network failures are storage/unavailable. */
  request(url: URL, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
  /** The same with other TLS settings; closed with this one. */
  withTls(tls: Tls): Http;
  close(): Promise<void>;
};

/** Idle sockets go after this long: the next object of a listing comes sooner, the next model rarely does. */
const keepAliveMs = 4_000;
const connectTimeoutMs = 10_000;
/** One per Secret with TLS settings of its own; hardly anybody has more than one. */
const tlsSettingsMax = 4;

/**
 * Loads undici with the first request. Deadlines for answers and bodies are the caller's (see transfer.ts), so undici's own
 * are off.
 */
export function createHttp(tls?: Tls): Http {
  let loading: Promise<{ request: typeof import('undici').request; dispatcher: Dispatcher }> | undefined;
  const children = new Map<string, Http>();
  const load = () => {
    loading ??= import('undici').then(({ Agent, request }) => ({
      request,
      dispatcher: new Agent({
        keepAliveTimeout: keepAliveMs,
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: {
          lookup: checkedLookup,
          timeout: connectTimeoutMs,
          ...(tls && { rejectUnauthorized: tls.verify, ...(tls.ca && { ca: tls.ca }) }),
        },
      }),
    }));
    return loading;
  };

  return {
    async request(url, { method = 'GET', headers = {}, body }, signal) {
      checkHost(url);
      const { request, dispatcher } = await load();
      try {
        const answer = await request(url, {
          dispatcher,
          method: method as Dispatcher.HttpMethod,
          headers,
          signal,
          ...(body !== undefined && { body }),
        });
        const flat = Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(', ') : (value ?? ''),
          ]),
        );
        return { status: answer.statusCode, headers: flat, header: (name) => flat[name], body: answer.body };
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw unavailable(url.host, error);
      }
    },
    withTls(other) {
      const key = JSON.stringify(other);
      const child = children.get(key) ?? createHttp(other);
      children.set(key, child);
      // One that is forgotten here goes on for those who have it, and its idle sockets close by themselves.
      for (const oldest of children.keys()) if (children.size > tlsSettingsMax) children.delete(oldest);
      return child;
    },
    async close() {
      await Promise.all([...children.values()].map((child) => child.close()));
      await (await loading)?.dispatcher.destroy();
    },
  };
}

const redirectsMax = 5;

/** GET that follows redirects; `headersFor` decides anew for each host what it is sent. Every hop's address is checked. */
export async function getFollowing(
  http: Http,
  start: URL,
  headersFor: (url: URL) => Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<HttpResponse> {
  let url = start;
  for (let hop = 0; hop <= redirectsMax; hop++) {
    const response = await http.request(url, { headers: headersFor(url) }, signal);
    const location = response.header('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
    await response.body.dump();
    if (!URL.canParse(location, url.href))
      throw new StorageError('unavailable', `${url.host} redirects to what is not a URL`);
    const target = new URL(location, url.href);
    if (target.protocol !== 'https:' && !(target.protocol === 'http:' && url.protocol === 'http:')) {
      throw new StorageError(
        'refused',
        `${url.host} redirects to ${target.protocol}//${target.host}: only https is followed`,
      );
    }
    url = target;
  }
  throw new StorageError('unavailable', `${start.host} redirects more than ${redirectsMax} times`);
}
