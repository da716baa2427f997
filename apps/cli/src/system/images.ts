import { join } from 'node:path';
import type { ContainerView, Images } from '@roundhouse/local-cluster';
import { images } from './names.ts';

/** Where the bundles are, and with what they run. */
export type Bundles = { readonly appsDirectory: string; readonly node: string };

/**
 * For the processes that are many and mostly idle: a small nursery, old objects looked through before garbage amounts to much, one
 * thread for V8's own work, and one optimising compiler instead of two. No cost in CPU time under load could be told from noise (ADR 5).
 */
const lean = ['--max-semi-space-size=1', '--initial-old-space-size=16', '--v8-pool-size=1', '--no-maglev'] as const;

/** With which flags each part's Node.js runs, here and in images. */
export const nodeFlags = { controller: lean, router: lean, agent: lean, 'model-server': [] } as const;

/**
 * How the local node runs our images: as processes of the bundles. Containers of one pod, and pods among each other, share
 * this machine's ports, so each port that an argument names is replaced by the one that the node chose for it.
 */
export function localImages({ appsDirectory, node }: Bundles): Images {
  const run =
    (app: keyof typeof nodeFlags, portFlags: readonly string[]) =>
    ({ args, env, port }: ContainerView) => ({
      file: node,
      args: [
        ...nodeFlags[app],
        join(appsDirectory, app, 'dist', 'main.mjs'),
        '--host',
        '127.0.0.1',
        ...withLocalPorts(args, portFlags, port),
      ],
      env,
    });
  return {
    [images.controller]: run('controller', ['--control-port', '--health-port', '--metrics-port', '--api-port']),
    [images.router]: run('router', ['--port', '--ops-port']),
    [images.agent]: run('agent', ['--port', '--ops-port', '--component-port', '--component-grpc-port']),
    [images.modelServer]: run('model-server', ['--http-port', '--grpc-port']),
  };
}

/** Both `--port 8080` and `--port=8080` are understood, as the parts do. */
export function withLocalPorts(
  args: readonly string[],
  portFlags: readonly string[],
  port: (containerPort: number) => number,
): string[] {
  return args.map((arg, index) => {
    const [flag = '', value] = arg.split('=', 2);
    if (value !== undefined) return portFlags.includes(flag) ? `${flag}=${port(Number(value))}` : arg;
    return portFlags.includes(args[index - 1] ?? '') ? String(port(Number(arg))) : arg;
  });
}
