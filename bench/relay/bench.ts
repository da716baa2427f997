import { join } from 'node:path';
import type { Benchmark, Bound, RatioBound, Subject } from '../frame/benchmark.ts';
import { type Control, openControl } from './control.ts';
import { type ShapeName, shapes } from './load.ts';
import { agent, bareRouter, path, router } from './ours.ts';
import { envoy, fastifyProxy, floor, haproxy, kserve, nginx, peerVersions } from './peers.ts';
import { cores, freePort, native, pins, programAt, type Running, scratch, startServer } from './process.ts';
import { type Contestant, type ModelServerStub, subjectFor } from './subject.ts';

let control: Control | undefined;
let stub: { readonly running: Running; readonly server: ModelServerStub } | undefined;

const proxies: readonly Contestant[] = [
  floor,
  nginx,
  haproxy,
  envoy,
  kserve,
  fastifyProxy,
  bareRouter,
  router(() => control as Control),
  agent(() => control as Control),
  path(() => control as Control),
];

/** What a request costs in the router and in the agent, beside the proxies that others put there. */
export const benchmark: Benchmark = {
  name: 'relay',
  summary: 'CPU time, latency and memory of router and agent beside nginx, HAProxy, Envoy, KServe’s agent and others',
  rounds: 4,
  shapes: Object.keys(shapes),
  against: ['bare-router', 'floor', 'nginx', 'haproxy', 'envoy', 'kserve-agent'],
  compared: ['router', 'agent', 'path'],
  subjects: proxies.map((proxy) => withSurroundings(subjectFor(proxy, () => stub!.server))),
  versions: async () => ({ ...peerVersions(), pinned: pins ? 'yes' : 'no' }),
  bounds: [
    ...proxies.flatMap(({ name }) => Object.keys(shapes).flatMap((shape) => failures(name, shape as ShapeName))),
    ...['router', 'agent'].flatMap((subject): Bound[] => [
      memory(subject, 'post', 80),
      memory(subject, 'grpc', 80),
      memory(subject, 'big', 160),
      memory(subject, 'grpcbig', 160),
      { ...memory(subject, 'idle', 6), metric: 'memory (PSS) per connection' },
    ]),
  ],
  ratioBounds: ['router', 'agent'].flatMap((subject) => promisesOf(subject)).concat(wholePath()),
};

let users = 0;

/** The model server and the control server are there before the first subject, and until after the last. */
function withSurroundings(subject: Subject): Subject {
  return {
    ...subject,
    async unavailable() {
      if (process.platform !== 'linux') return 'measured on Linux only';
      if (programAt('cc') === undefined) return 'there is no C compiler: load and model server are written in C';
      return await subject.unavailable?.();
    },
    async start(context) {
      users++;
      control ??= await openControl();
      stub ??= await startStub(control);
      await subject.start?.(context);
    },
    async stop() {
      await subject.stop?.();
      if (--users > 0) return;
      await stub?.running.stop();
      await control?.close();
    },
  };
}

async function startStub({ certFile, keyFile }: Control) {
  const port = await freePort();
  const socketPath = join(scratch, 'server.sock');
  const running = await startServer(native('stub'), [`${port}`, socketPath], { port, core: cores.rest });
  return { running, server: { port, socketPath, certFile, keyFile } };
}

function failures(subject: string, shape: ShapeName): Bound[] {
  // The peers' own failures are theirs; they show in the table.
  const asked =
    subject === 'path' ? ['http', 'grpc'] : ['http', 'grpc', 'many', ...(subject === 'agent' ? ['uds'] : [])];
  const isOurs = ['router', 'agent', 'path'].includes(subject) && !(shape === 'tls' || shape === 'tlsgrpc');
  if (!isOurs || !asked.includes(shapes[shape].variant) || shape === 'idle') return [];
  return [{ subject, shape, metric: 'failed requests', statistic: 'max', atMost: 0 }];
}

function memory(subject: string, shape: ShapeName, atMost: number): Bound {
  return { subject, shape, metric: 'memory (PSS)', statistic: 'median', atMost };
}

function promisesOf(subject: string): RatioBound[] {
  const cpu = (shape: ShapeName, against: string, atMost: number): RatioBound => ({
    ...{ subject, shape, metric: 'CPU', against, atMost },
  });
  return [
    cpu('post', 'nginx', 1.25),
    cpu('post', 'haproxy', 1.25),
    cpu('post', 'envoy', 0.45),
    cpu('post', 'kserve-agent', 0.45),
    cpu('post', 'floor', 1.8),
    // Flat, whatever the table's size: 10 % are the noise of a shared machine.
    { ...cpu('many', subject, 1.1), againstShape: 'post' },
    cpu('grpc', 'haproxy', 0.6),
    cpu('grpc', 'envoy', 0.3),
    cpu('grpc', 'kserve-agent', 0.15),
    cpu('grpctrace', 'haproxy', 0.8),
    cpu('grpclat', 'haproxy', 1.3),
    cpu('big', 'kserve-agent', 1.5),
    cpu('grpcbig', 'envoy', 1),
    { ...cpu('lat', 'nginx', 1.1), metric: 'added latency p50' },
    ...(subject === 'router' ? [cpu('post', bareRouter.name, 1.1), cpu('grpc', bareRouter.name, 1.1)] : []),
    ...(subject === 'agent' ? [{ ...cpu('uds', subject, 0.85), againstShape: 'post' }] : []),
  ];
}

function wholePath(): RatioBound[] {
  const below = { subject: 'path', metric: 'CPU', against: 'envoy', atMost: 1 };
  return [
    { ...below, shape: 'post' },
    { ...below, shape: 'grpc' },
  ];
}
