import { readFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { parse } from 'yaml';

export type Answer = { readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly body: Body };
// biome-ignore lint/suspicious/noExplicitAny: answers are whatever the server sends; the cases look at them by hand
export type Body = any;

export type Client = {
  get(path: string, accept?: string): Promise<Answer>;
  post(path: string, body: unknown): Promise<Answer>;
  put(path: string, body: unknown): Promise<Answer>;
  patch(path: string, body: unknown, type?: string): Promise<Answer>;
  delete(path: string, body?: unknown): Promise<Answer>;
  /** The events of a watch so far; `end` is set once the server ended it. */
  watch(path: string): Promise<Watch>;
  close(): void;
};

export type Watch = { readonly events: readonly Body[]; readonly isEnded: () => boolean; close(): void };

/** One case of the contract: it gets a client and a namespace of its own. */
export type Case = {
  readonly name: string;
  readonly run: (client: Client, namespace: string) => Promise<void>;
};

const requestTimeoutMs = 15_000;

/** Plain HTTPS with what a kubeconfig's current context says. */
export function connect(kubeconfigFile: string): Client {
  const config = parse(readFileSync(kubeconfigFile, 'utf8'));
  const named = (list: readonly Body[], name: string) => list.find((item) => item.name === name);
  const { context } = named(config.contexts, config['current-context']);
  const { cluster } = named(config.clusters, context.cluster);
  const { user } = named(config.users, context.user);
  const pem = (holder: Body, field: string) => {
    const data = holder[`${field}-data`];
    if (data) return Buffer.from(data, 'base64');
    return holder[field] ? readFileSync(holder[field]) : undefined;
  };
  const agent = new Agent({
    ca: pem(cluster, 'certificate-authority'),
    cert: pem(user, 'client-certificate'),
    key: pem(user, 'client-key'),
    keepAlive: true,
  });
  const authorization = user.token === undefined ? {} : { authorization: `Bearer ${user.token}` };

  const open = (method: string, path: string, headers: Record<string, string>) =>
    httpsRequest(`${cluster.server}${path}`, { method, agent, headers: { ...authorization, ...headers } });

  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const request = open(method, path, { 'content-type': 'application/json', ...headers });
      request.setTimeout(requestTimeoutMs, () => request.destroy(new Error(`${method} ${path} took too long`)));
      request.on('error', reject).on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: /^[{[]/.test(text) ? JSON.parse(text) : text,
          });
        });
      });
      const text = body === undefined ? undefined : JSON.stringify(body);
      // Node.js sends the body of a DELETE only when its length is said.
      if (text !== undefined) request.setHeader('content-length', Buffer.byteLength(text));
      request.end(text);
    });

  return {
    get: (path, accept = 'application/json') => send('GET', path, undefined, { accept }),
    post: (path, body) => send('POST', path, body),
    put: (path, body) => send('PUT', path, body),
    patch: (path, body, type = 'application/merge-patch+json') => send('PATCH', path, body, { 'content-type': type }),
    delete: (path, body) => send('DELETE', path, body),
    watch: (path) =>
      new Promise((resolve, reject) => {
        const request = open('GET', path, { accept: 'application/json' });
        request.on('error', reject).on('response', (response) => {
          const events: Body[] = [];
          let rest = '';
          let isEnded = false;
          response.on('data', (chunk) => {
            const lines = (rest + chunk).split('\n');
            rest = lines.pop() ?? '';
            events.push(...lines.filter((line) => line !== '').map((line) => JSON.parse(line)));
          });
          response.on('close', () => {
            isEnded = true;
          });
          resolve({ events, isEnded: () => isEnded, close: () => request.destroy() });
        });
        request.end();
      }),
    close: () => agent.destroy(),
  };
}
