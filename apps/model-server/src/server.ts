import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import { limitsFor } from '@roundhouse/v2-protocol';
import type { FastifyInstance } from 'fastify';
import { createCodec } from './codec.ts';
import type { Config } from './config.ts';
import { createCounters } from './counters.ts';
import type { GrpcServer } from './grpc.ts';
import { createInference } from './inference.ts';
import { createRepository } from './repository.ts';
import { createRest } from './rest.ts';
import type { ServeDeps } from './route.ts';
import { availableBytes, createRuntimes } from './runtimes.ts';

export type ServerDeps = { readonly clock: Clock; readonly log: Log; readonly workerUrl: URL; readonly probeUrl: URL };

export type ModelServer = {
  readonly port: number;
  readonly grpcPort: number | undefined;
  /** Resolves to false when a prediction keeps its thread, which nothing but the end of the process can stop. */
  close(): Promise<boolean>;
};

/** How long what is under way may take to end once the server is to stop; the agent has drained it by then. */
const closeMsMax = 6_000;

/** Triton's default. */
const bodyBytesDefault = 64 * 1024 * 1024;
/** Reading JSON takes up to ten times the memory of the text: numbers of one digit become eight bytes, and that twice. */
const bodyShare = 16;

/** Starts with no model: whoever put files into the model directory asks for each of them. */
export async function startModelServer(given: ServerDeps, config: Config): Promise<ModelServer> {
  const { clock, log } = given;
  const memoryLimitBytes = config.memoryLimitBytes ?? availableBytes();
  const runtimes = createRuntimes(given, config.modelDirectory, memoryLimitBytes);
  const { pool } = runtimes;
  const repository = createRepository({ clock, log, open: runtimes.open });
  const bodyBytesMax = config.bodyLimitBytes ?? Math.min(bodyBytesDefault, Math.ceil(memoryLimitBytes / bodyShare));
  const limits = limitsFor(bodyBytesMax, config.tensorLimitBytes);
  const codec = createCodec(pool, limits);
  const inference = createInference(repository, codec, config.batchLimitRows);
  const deps = { repository, inference, codec, pool, counters: createCounters(), clock, bodyBytesMax, limits };
  const app = createRest(deps);
  await app.listen({ host: config.host, port: config.httpPort });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.httpPort;
  const socket = config.socket === undefined ? undefined : await listenOnSocket(app, config.socket).catch(without);
  const grpc = await openGrpc(deps, config);
  const grpcPort = grpc?.port;
  log.info({ port, grpcPort, socket: config.socket, modelDirectory: config.modelDirectory }, 'model server listens');
  return {
    port,
    grpcPort,
    close() {
      return endsWithin(clock, closeMsMax, closeAll());
    },
  };

  /** It saves the agent something, and is nothing to fail for: a path may be too long, or its file system without sockets. */
  function without(error: unknown) {
    log.warn({ socket: config.socket, problem: messageOf(error) }, 'no unix socket: requests come by the port');
    return undefined;
  }

  async function closeAll() {
    const socketClosed = new Promise<void>((resolve) =>
      socket === undefined ? resolve() : socket.close(() => resolve()),
    );
    socket?.closeIdleConnections();
    await Promise.all([app.close(), socketClosed, grpc?.close()]);
    await repository.close();
    await runtimes.close();
  }
}

function endsWithin(clock: Clock, ms: number, work: Promise<void>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(false));
    work.then(() => resolve(true), reject).finally(cancel);
  });
}

/** Loaded only where it is wanted: the library takes memory, and time to start. */
async function openGrpc(deps: ServeDeps, { host, grpcPort }: Config): Promise<GrpcServer | undefined> {
  if (grpcPort === undefined) return undefined;
  const { serveGrpc } = await import('./grpc.ts');
  return serveGrpc(deps, host, grpcPort);
}

/** The same routes on a unix socket, which costs the agent less than loopback TCP. */
async function listenOnSocket(app: FastifyInstance, path: string): Promise<Server> {
  // Left behind by a process that was killed; the path is ours alone.
  await rm(path, { force: true });
  const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 300_000 }, app.routing);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return server;
}
