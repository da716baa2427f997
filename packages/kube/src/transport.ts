import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { messageOf, within } from '@roundhouse/base';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { KubeError, kubeErrorFor } from './kube-error.ts';

export type Access =
  /** A kubeconfig file and its current context. */
  | { readonly kubeconfigPath: string }
  /** The ServiceAccount that Kubernetes mounts into the pod. */
  | { readonly inCluster: true };

export type Call = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Until the answer's head. */
  readonly timeoutMs: number;
};

export type Transport = {
  /** The answer's body as JSON. Throws a KubeError for anything but success, and the signal's reason when it aborts. */
  send(call: Call, signal: AbortSignal): Promise<unknown>;
  /** The answer's body as it comes; ends with an error when nothing comes for `idleMs`. */
  stream(call: Call, idleMs: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  close(): Promise<void>;
};

/** Lists come in pages of 500 objects of at most 1.5 MiB (etcd's limit), most of them a hundredth of that. */
const bodyBytesMax = 256 * 1024 * 1024;

/** Requests with the credentials of a kubeconfig or a pod. Knows the library, which knows about exec plugins, files and proxies. */
export function openTransport(access: Access): Transport {
  const config = new KubeConfig();
  if ('inCluster' in access) config.loadFromCluster();
  else config.loadFromFile(access.kubeconfigPath);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubeError('invalid', 'the kubeconfig names no cluster in its current context');
  const base = cluster.server.replace(/\/$/, '');
  let dispatcher: { readonly key: string; readonly of: Dispatcher } | undefined;

  /** Tokens and certificates change while we run; connections are made anew only when certificates did. */
  const authorize = async () => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const { auth, ca, cert, key, passphrase, rejectUnauthorized, servername } = options;
    const tls = { ca, cert, key, passphrase, rejectUnauthorized, servername };
    const identity = JSON.stringify(Object.values(tls).map(String));
    if (dispatcher?.key !== identity) {
      void dispatcher?.of.close();
      dispatcher = { key: identity, of: dispatcherFor(tls, cluster.proxyUrl) };
    }
    const headers = { ...(options.headers as Record<string, string>) };
    if (typeof auth === 'string') headers.authorization = `Basic ${Buffer.from(auth).toString('base64')}`;
    return { dispatcher: dispatcher.of, headers };
  };

  const ask = async (call: Call, bodyTimeoutMs: number, signal: AbortSignal) => {
    const { method, path, query = {}, body, contentType = 'application/json', timeoutMs } = call;
    const search = new URLSearchParams(
      Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined),
    );
    const { dispatcher: through, headers } = await authorize();
    const answer = await request(`${base}${path}${search.size > 0 ? `?${search}` : ''}`, {
      method,
      dispatcher: through,
      headers: {
        'user-agent': 'roundhouse',
        accept: 'application/json',
        ...headers,
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: timeoutMs,
      bodyTimeout: bodyTimeoutMs,
      signal,
    });
    if (answer.statusCode < 300) return answer.body;
    const retryAfterSeconds = Number(answer.headers['retry-after']);
    const retryAfterMs = Number.isFinite(retryAfterSeconds) ? retryAfterSeconds * 1000 : undefined;
    throw kubeErrorFor(answer.statusCode, await textOf(answer.body), `${method} ${path}`, retryAfterMs);
  };

  const classified = (error: unknown, { method, path }: Call, signal: AbortSignal): unknown => {
    if (signal.aborted) return signal.reason;
    if (error instanceof KubeError) return error;
    return new KubeError('unavailable', `${method} ${path}: ${messageOf(error)}`, { cause: error });
  };

  return {
    async send(call, signal) {
      try {
        const text = await textOf(await ask(call, call.timeoutMs, within(call.timeoutMs, signal)));
        return text === '' ? undefined : JSON.parse(text);
      } catch (error) {
        throw classified(error, call, signal);
      }
    },
    async stream(call, idleMs, signal) {
      try {
        const body = await ask(call, idleMs, signal);
        return (async function* () {
          try {
            yield* body as AsyncIterable<Uint8Array>;
          } catch (error) {
            throw classified(error, call, signal);
          }
        })();
      } catch (error) {
        throw classified(error, call, signal);
      }
    },
    async close() {
      await dispatcher?.of.destroy();
    },
  };
}

/** Over HTTP/1.1 each watch has a connection of its own: a broken one takes no other along. */
function dispatcherFor(tls: object, proxyUrl: string | undefined): Dispatcher {
  // Load balancers drop connections that are silent for a minute.
  const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000 };
  if (proxyUrl === undefined) return new Agent({ connect, allowH2: false });
  return new ProxyAgent({ uri: proxyUrl, requestTls: tls, allowH2: false });
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bodyBytesMax) throw new KubeError('invalid', `an answer of more than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
