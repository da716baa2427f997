import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, type Random, systemCodeOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api, PodLogs } from './api.ts';
import { createApi } from './create-api.ts';
import { kubeconfigFor } from './kubeconfig.ts';
import type { Images } from './node/images.ts';
import { type LocalNode, startNode } from './node/node.ts';
import { serveApi } from './serve-api.ts';
import { openStore } from './store.ts';
import { startWorkloads } from './workloads/workloads.ts';

export type LocalClusterOptions = {
  /** Holds everything: the store, tokens, the kubeconfig, volumes and logs. One cluster at a time works on it. */
  readonly dataDirectory: string;
  readonly images: Images;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The API server's, on 127.0.0.1. Without it the one it had before, if that is still free, or any. */
  readonly port?: number;
};

export type LocalCluster = {
  readonly url: string;
  readonly kubeconfigPath: string;
  readonly adminToken: string;
  readonly api: Api;
  readonly node: LocalNode;
  /** Ends all containers and the API. What was applied is there again at the next start. */
  close(): Promise<void>;
};

/** Starts a cluster of this one process, with the API server's, the controllers' and the node's work done in it. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const { dataDirectory, clock, log } = options;
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const kubeconfigPath = join(dataDirectory, 'kubeconfig');
  const store = openStore({ file: join(dataDirectory, 'cluster.db') });
  const api = createApi({ ...options, store });
  const adminToken = store.setting('admin-token', randomBytes(32).toString('base64url'));
  let node: LocalNode | undefined;
  const logs: PodLogs = {
    read(request, signal) {
      if (node === undefined) throw new Error('the node is not started yet');
      return node.logs.read(request, signal);
    },
  };
  try {
    const server = await serveSamePort(options.port, kubeconfigPath, (port) =>
      serveApi({ api, clock, logs, adminToken, port }),
    );
    writeFileSync(kubeconfigPath, kubeconfigFor({ ...server, token: adminToken }), { mode: 0o600 });
    chmodSync(kubeconfigPath, 0o600); // it may have been there before
    const workloads = startWorkloads({ ...options, api });
    node = startNode({ ...options, api, tokens: api.tokens, apiAddress: server });
    log.info({ url: server.url, dataDirectory }, 'the local cluster is up');
    const started = node;
    return {
      url: server.url,
      kubeconfigPath,
      adminToken,
      api,
      node,
      async close() {
        workloads.close();
        await started.close(); // while the API still answers: controllers hand over their leases
        await server.close();
        api.close();
        store.close();
      },
    };
  } catch (error) {
    api.close();
    store.close();
    throw error;
  }
}

/** The same port again keeps kubeconfigs and terminals that are open valid. */
async function serveSamePort<T>(
  wanted: number | undefined,
  kubeconfigPath: string,
  serve: (port: number) => Promise<T>,
): Promise<T> {
  if (wanted !== undefined) return serve(wanted);
  const before = existsSync(kubeconfigPath) ? /127\.0\.0\.1:(\d+)/.exec(readFileSync(kubeconfigPath, 'utf8')) : null;
  try {
    return await serve(Number(before?.[1] ?? 0));
  } catch (error) {
    if (systemCodeOf(error) !== 'EADDRINUSE') throw error;
    return serve(0);
  }
}
