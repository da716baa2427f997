import { CodedError } from '@roundhouse/base';
import type { ResourceName } from '@roundhouse/crds';
import { Agent, request } from 'undici';
import type { Connection } from './local-state.ts';

export type ClusterObject = {
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec?: unknown;
  readonly status?: unknown;
};

/** A table as the API server prints it for `kubectl get`. */
export type Table = {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority?: number }[];
  readonly rows?: readonly { readonly cells: readonly unknown[]; readonly object?: ClusterObject }[];
};

/** Reads from the cluster's API. Throws `cli/api` with the server's own message. */
export type ClusterClient = {
  list(path: string): Promise<readonly ClusterObject[]>;
  get(path: string): Promise<ClusterObject>;
  table(path: string): Promise<Table>;
  /** Plain text, line by line, as it comes. */
  lines(path: string, signal: AbortSignal): AsyncIterable<string>;
};

export function clusterClient({ server, token, ca }: Connection): ClusterClient {
  const dispatcher = new Agent({ connect: { ca } });
  const open = async (path: string, accept: string, signal?: AbortSignal) => {
    const headers = { authorization: `Bearer ${token}`, accept };
    const response = await request(new URL(path, server), { headers, dispatcher, ...(signal && { signal }) });
    if (response.statusCode < 300) return response.body;
    const text = await response.body.text();
    throw new CodedError('cli/api', messageOfStatus(text) ?? `GET ${path}: HTTP ${response.statusCode}`);
  };
  const json = async (path: string, accept = 'application/json'): Promise<unknown> => (await open(path, accept)).json();
  return {
    list: async (path) => ((await json(path)) as { readonly items: readonly ClusterObject[] }).items,
    get: async (path) => (await json(path)) as ClusterObject,
    table: async (path) => (await json(path, 'application/json;as=Table;v=v1;g=meta.k8s.io')) as Table,
    async *lines(path, signal) {
      let rest = '';
      for await (const chunk of (await open(path, '*/*', signal)).setEncoding('utf8')) {
        const parts = (rest + String(chunk)).split('\n');
        rest = parts.pop() ?? '';
        yield* parts;
      }
      if (rest !== '') yield rest;
    },
  };
}

/** Where the objects of a kind are: all of them, or those of a namespace. */
export function collectionPath({ group, version, resource }: ResourceName, namespace?: string): string {
  const within = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${group}/${version}${within}/${resource}`;
}

function messageOfStatus(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { readonly message?: string }).message;
  } catch {
    return undefined;
  }
}
