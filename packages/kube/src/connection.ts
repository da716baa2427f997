import type { RequestOptions } from 'node:https';
// Only this file of the library: its face pulls in a generated client that is larger than all of ours.
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { Agent, type Dispatcher, request } from 'undici';
import { KubeError } from './errors.ts';

export type Call = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Media types of the answer; JSON when absent. */
  readonly accept?: string;
};

/** Sends one request as the kubeconfig says: server, certificates, and credentials, which are looked up for each request. */
export type Connection = {
  send(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
};

export type ConnectionOptions = {
  /** A kubeconfig file; undefined: the ServiceAccount that Kubernetes mounts into each pod. */
  readonly kubeconfigPath: string | undefined;
};

/** Lists and watches side by side; more would only queue at the server. */
const connectionsMax = 64;

/** An API server that does not take a connection within this is as good as away. */
const connectMsMax = 5_000;

/** Throws `kube/unavailable` with the way out when there is no usable configuration. */
export async function openConnection({ kubeconfigPath }: ConnectionOptions): Promise<Connection> {
  const config = new KubeConfig();
  if (kubeconfigPath === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfigPath);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) {
    const where = kubeconfigPath ?? 'the pod (is it one?)';
    throw new KubeError('kube/unavailable', `no cluster is named in ${where}; set KUBECONFIG to a file that names one`);
  }
  const dispatcher = new Agent({
    connections: connectionsMax,
    // Streams of HTTP/2 that are cut when we close end the process with an error that nobody can catch (undici 8.12).
    allowH2: false,
    connect: { timeout: connectMsMax, ...(await tlsOptions(config)) },
    // Watches are quiet for minutes; each call has a deadline of its own.
    bodyTimeout: 0,
    headersTimeout: 0,
  });
  return {
    async send({ method, path, body, contentType = 'application/json', accept = 'application/json' }, signal) {
      const options: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(options);
      const response = await request(new URL(path, server), {
        dispatcher,
        method,
        signal,
        headers: {
          ...(options.headers as Record<string, string>),
          accept,
          ...(body === undefined ? {} : { 'content-type': contentType }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      // Whoever reads hears of it; what nobody reads any more when we close must not end the process.
      response.body.on('error', () => {});
      return response;
    },
    close: () => dispatcher.destroy(),
  };
}

async function tlsOptions(config: KubeConfig) {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, servername, rejectUnauthorized } = options;
  const given = { ca, cert, key, servername, rejectUnauthorized };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
