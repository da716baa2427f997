import { CodedError } from '@roundhouse/base';
import type { Container, PodSpec } from 'kubernetes-types/core/v1.js';
import { type Pod, type PodPorts, resolvePort } from '../workloads/kinds.ts';

/** A process to start; `env` is its whole environment. */
export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** What an image sees of the container that it is to run. Paths in `args` and `env` are already those of this machine. */
export type ContainerView = {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The port on 127.0.0.1 behind a port of the pod. */
  port(containerPort: number): number;
  /** The text with paths of the container's mounts as they are on this machine. */
  path(text: string): string;
};

/** How each image is run: images are programs on this machine. */
export type Images = Readonly<Record<string, (container: ContainerView) => Command>>;

/** Paths in the container and where they are on this machine. */
export type Mounts = readonly { readonly mountPath: string; readonly directory: string }[];

export type ContainerPlace = {
  readonly env: Readonly<Record<string, string>>;
  readonly ports: PodPorts;
  readonly mounts: Mounts;
  /** Holds the directories that mounts lie in. */
  readonly root: string;
};

/** Throws `cluster/image` for an image that is not in the map, and `cluster/container` for what no process can do. */
export function commandFor(images: Images, { spec }: Pod, container: Container, place: ContainerPlace): Command {
  const image = images[container.image ?? ''];
  if (image === undefined) {
    const known = Object.keys(images).join(', ');
    throw new CodedError('cluster/image', `the local cluster cannot run image ${container.image}; it has ${known}`);
  }
  const problem = unsupportedIn(spec, container);
  if (problem !== undefined) throw new CodedError('cluster/container', `the local cluster ${problem}`);
  const { env, ports, mounts, root } = place;
  const translate = (text: string) => {
    const isAboveMounts = text.startsWith('/') && mounts.some(({ mountPath }) => mountPath.startsWith(`${text}/`));
    return isAboveMounts ? `${root}${text}` : translatePaths(text, mounts);
  };
  return image({
    args: (container.args ?? []).map((arg) => translate(expand(arg, env))),
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, translate(value)])),
    path: translate,
    port(containerPort) {
      const port = resolvePort(spec, ports, containerPort);
      if (port !== undefined) return port;
      const message = `container ${container.name} needs port ${containerPort}, but no container of the pod declares it under "ports"`;
      throw new CodedError('cluster/container', message);
    },
  });
}

/** What of the pod and the container a process of this machine cannot do or be; undefined if there is nothing. */
function unsupportedIn({ initContainers, restartPolicy = 'Always' }: PodSpec, container: Container) {
  const { command, lifecycle, startupProbe, readinessProbe, livenessProbe } = container;
  const isOther = (probe: typeof readinessProbe) => probe && !probe.httpGet && !probe.tcpSocket;
  if (initContainers !== undefined) return 'runs no initContainers';
  if (restartPolicy !== 'Always') return `restarts all containers: restartPolicy ${restartPolicy} is not supported`;
  if (command !== undefined) return 'runs images as programs of this machine: leave "command" out';
  if (startupProbe !== undefined) return 'has no startupProbe: a container has all the time to become ready';
  if (lifecycle?.postStart !== undefined) return 'has no postStart hooks';
  if (lifecycle?.preStop !== undefined && !lifecycle.preStop.httpGet) return 'has httpGet preStop hooks only';
  if (!isOther(readinessProbe) && !isOther(livenessProbe)) return undefined;
  return 'has httpGet and tcpSocket probes only: containers have no shell to run exec in';
}

/** Replaces `$(NAME)` by the variable's value; unknown ones stay, and `$$(NAME)` is a literal `$(NAME)`. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\(([A-Za-z_.-][\w.-]*)\)/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (env[name] ?? match),
  );
}

/** Rewrites each mount path that stands as a whole path, or as the start of one, in an argument, list, URL or assignment. */
export function translatePaths(text: string, mounts: Mounts): string {
  if (mounts.length === 0) return text;
  const paths = mounts.map(({ mountPath }) => RegExp.escape(mountPath)).join('|');
  const pattern = new RegExp(`(?<=^|[=:,;\\s"'\\[(]|://)(?:${paths})(?=$|[/:,;\\s"'\\])])`, 'g');
  return text.replaceAll(pattern, (path) => mounts.find(({ mountPath }) => mountPath === path)?.directory ?? path);
}
