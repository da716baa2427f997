import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envoyConfig, haproxyConfig, nginxConfig } from './configurations.ts';
import { manyModels, modelName } from './load.ts';
import { firstLine, freePort, native, programAt, scratch, startServer } from './process.ts';
import type { Contestant, Target } from './subject.ts';

/** Paths of ten thousand models, for the peers whose tables are files. */
const manyPaths = Array.from({ length: manyModels }, (_, index) => `/v2/models/${modelName(index)}/infer`);

const kserveAgent = process.env.KSERVE_AGENT ?? '';
const envoyPath = process.env.ENVOY ?? programAt('envoy') ?? '';

export const floor: Contestant = {
  name: 'floor',
  async open(server) {
    const port = await freePort();
    const running = [await startServer(native('floor'), [`${port}`, `${server.port}`], { port })];
    return { http: { port, running }, grpc: { port, running } };
  },
};

export const nginx: Contestant = {
  name: 'nginx',
  unavailable: async () => (programAt('nginx') === undefined ? 'nginx is not installed' : undefined),
  async open(server) {
    const ports = await portsFor('http', 'grpc', 'many', 'uds', 'tls', 'tlsgrpc');
    const map = join(scratch, 'nginx.map');
    writeFileSync(map, manyPaths.map((path) => `${path} server;`).join('\n'));
    const config = write('nginx.conf', nginxConfig({ directory: scratch, ports, server, map }));
    const running = [await startServer(programAt('nginx')!, ['-c', config, '-p', scratch], { port: ports.http })];
    return targets(ports, running);
  },
};

export const haproxy: Contestant = {
  name: 'haproxy',
  unavailable: async () => (programAt('haproxy') === undefined ? 'haproxy is not installed' : undefined),
  async open(server) {
    const ports = await portsFor('http', 'grpc', 'many', 'uds');
    const map = write('haproxy.map', manyPaths.map((path) => `${path} server`).join('\n'));
    const config = write('haproxy.cfg', haproxyConfig({ ports, server, map }));
    const running = [await startServer(programAt('haproxy')!, ['-f', config, '-db'], { port: ports.http })];
    return targets(ports, running);
  },
};

export const envoy: Contestant = {
  name: 'envoy',
  unavailable: async () =>
    envoyPath === '' ? 'envoy is not installed: neither on the PATH nor named by ENVOY' : undefined,
  async open(server) {
    const ports = await portsFor('http', 'grpc');
    const config = write('envoy.yaml', envoyConfig({ ports, server }));
    const args = ['-c', config, '--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'];
    const running = [await startServer(envoyPath, args, { port: ports.http })];
    return targets(ports, running);
  },
};

export const kserve: Contestant = {
  name: 'kserve-agent',
  unavailable: async () => (kserveAgent === '' ? 'KSERVE_AGENT names no binary' : undefined),
  async open(server) {
    const port = await freePort();
    const probe = { tcpSocket: { host: '127.0.0.1', port: server.port }, successThreshold: 1 };
    const env = { PATH: process.env.PATH, SERVING_READINESS_PROBE: JSON.stringify(probe) };
    const args = ['--port', `${port}`, '--component-port', `${server.port}`];
    const running = [await startServer(kserveAgent, args, { port, env })];
    return { http: { port, running }, grpc: { port, running } };
  },
};

export const fastifyProxy: Contestant = {
  name: 'fastify-proxy',
  async open(server) {
    const port = await freePort();
    const args = [join(import.meta.dirname, 'fastify-proxy.ts'), `${port}`, `${server.port}`];
    const running = [await startServer(process.execPath, args, { port })];
    return { http: { port, running } };
  },
};

export function peerVersions(): Record<string, string> {
  const found: Record<string, string> = {};
  if (programAt('nginx') !== undefined) found.nginx = last(firstLine(programAt('nginx')!, '-v'), '/');
  if (programAt('haproxy') !== undefined) found.haproxy = firstLine(programAt('haproxy')!, '-v').split(' ')[2] ?? '';
  if (envoyPath !== '') found.envoy = /\/([\d.]+)\//.exec(firstLine(envoyPath, '--version'))?.[1] ?? '';
  return found;
}

const last = (text: string, separator: string) => text.split(separator).at(-1) ?? '';

function write(name: string, text: string): string {
  const path = join(scratch, name);
  writeFileSync(path, `${text}\n`);
  return path;
}

async function portsFor<Name extends string>(...names: Name[]): Promise<Record<Name, number>> {
  const ports = await Promise.all(names.map(() => freePort()));
  return Object.fromEntries(names.map((name, index) => [name, ports[index]])) as Record<Name, number>;
}

function targets<Name extends string>(ports: Record<Name, number>, running: Target['running']): Record<Name, Target> {
  return Object.fromEntries(
    Object.entries<number>(ports).map(([name, port]) => [name, { port, running }]),
  ) as unknown as Record<Name, Target>;
}
