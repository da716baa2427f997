import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';

/** One request that the API server got. `what` is the resource, with its subresource; `path` has the query as well. */
export type Counted = { readonly verb: string; readonly what: string; readonly path: string; readonly bytes: number };

type Named = { readonly name: string; readonly [field: string]: unknown };
type Fields = Readonly<Record<string, string>>;

/** Stands before an API server and counts what is asked of it. Its kubeconfig names no credentials: the proxy has them. */
export async function startCountingProxy(kubeconfig: string, directory: string) {
  const requests: Counted[] = [];
  const { server: upstream, ...tls } = connectionOf(kubeconfig);
  const agent = new Agent({ ...tls.options, keepAlive: true });
  const proxy = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming;
    const bytes = Number(headers['content-length'] ?? 0);
    requests.push({ ...describe(method, url), path: url, bytes });
    const { authorization: _, host: __, ...kept } = headers;
    const forwarded = request(
      `${upstream}${url}`,
      { agent, method, headers: { ...kept, ...tls.headers } },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forwarded.on('error', () => outgoing.destroy());
    outgoing.on('close', () => forwarded.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const path = join(directory, 'counted');
  await writeFile(
    path,
    [
      'apiVersion: v1',
      'kind: Config',
      'current-context: counted',
      `clusters: [{name: counted, cluster: {server: "http://127.0.0.1:${port}", insecure-skip-tls-verify: true}}]`,
      'contexts: [{name: counted, context: {cluster: counted, user: counted}}]',
      'users: [{name: counted, user: {}}]',
    ].join('\n'),
  );
  return {
    kubeconfig: path,
    requests,
    close() {
      proxy.closeAllConnections();
      proxy.close();
      agent.destroy();
    },
  };
}

function describe(method: string, url: string): Pick<Counted, 'verb' | 'what'> {
  const { pathname, searchParams } = new URL(url, 'http://any');
  const parts = pathname.split('/').filter((part) => part !== '');
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const [resource = '', name, subresource] = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  const what = subresource === undefined ? resource : `${resource}/${subresource}`;
  if (method !== 'GET') return { verb: method, what };
  return { verb: searchParams.has('watch') ? 'watch' : name === undefined ? 'list' : 'get', what };
}

function connectionOf(kubeconfig: string) {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as Readonly<Record<string, readonly Named[]>>;
  const named = (list: string, name: string) => config[list]?.find((item) => item.name === name) ?? { name };
  const context = named('contexts', String(config['current-context'])).context as Fields;
  const cluster = named('clusters', context.cluster ?? '').cluster as Fields;
  const user = named('users', context.user ?? '').user as Fields;
  const pem = (holder: Fields, field: string) => {
    const data = holder[`${field}-data`];
    if (data !== undefined) return Buffer.from(data, 'base64');
    return holder[field] === undefined ? undefined : readFileSync(holder[field]);
  };
  const { server = '' } = cluster;
  return {
    server,
    options: {
      ca: pem(cluster, 'certificate-authority'),
      cert: pem(user, 'client-certificate'),
      key: pem(user, 'client-key'),
    },
    headers: user.token === undefined ? {} : { authorization: `Bearer ${user.token}` },
  };
}
