import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import { invalid } from '@roundhouse/v2-protocol';
import type { FastifyInstance } from 'fastify';
import { findArtifact } from './artifact.ts';
import type { Config } from './config.ts';
import { createCounters } from './counters.ts';
import type { GrpcServer } from './grpc.ts';
import { createInference } from './inference.ts';
import { createRepository, type Loaded } from './repository.ts';
import { createRest } from './rest.ts';
import type { ServeDeps } from './route.ts';
import { createOnnxWorkers, type OnnxWorkers } from './runtimes/onnx/workers.ts';
import { openModel } from './runtimes/open-model.ts';

export type ServerDeps = { readonly clock: Clock; readonly log: Log; readonly workerUrl: URL };

export type ModelServer = { readonly port: number; readonly grpcPort: number | undefined; close(): Promise<void> };

/** One thread for large ONNX models is left for each processor but the one that answers requests. */
const onnxThreadsMax = Math.max(1, Math.min(4, availableParallelism() - 1));

/** Starts with no model: whoever put files into the model directory asks for each of them. */
export async function startModelServer({ clock, log, workerUrl }: ServerDeps, config: Config): Promise<ModelServer> {
  const workers = createOnnxWorkers(workerUrl, onnxThreadsMax);
  const repository = createRepository({ clock, log, open: openFrom(config.modelDirectory, workers) });
  const inference = createInference(repository);
  const deps = { repository, inference, counters: createCounters(), clock };
  const app = createRest(deps);
  await app.listen({ host: config.host, port: config.httpPort });
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.httpPort;
  const socket = config.socket === undefined ? undefined : await listenOnSocket(app, config.socket);
  const grpc = await openGrpc(deps, config);
  const grpcPort = grpc?.port;
  log.info({ port, grpcPort, socket: config.socket, modelDirectory: config.modelDirectory }, 'model server listens');
  return {
    port,
    grpcPort,
    async close() {
      const socketClosed = new Promise<void>((resolve) =>
        socket === undefined ? resolve() : socket.close(() => resolve()),
      );
      socket?.closeIdleConnections();
      await Promise.all([app.close(), socketClosed, grpc?.close()]);
      await repository.close();
      await workers.close();
    },
  };
}

/** Loaded only where it is wanted: the library takes memory, and time to start. */
async function openGrpc(deps: ServeDeps, { host, grpcPort }: Config): Promise<GrpcServer | undefined> {
  if (grpcPort === undefined) return undefined;
  const { serveGrpc } = await import('./grpc.ts');
  return serveGrpc(deps, host, grpcPort);
}

/** Names become directories, so they hold nothing that leads elsewhere; a leading dot is for files that are no models. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

/** Opens models from `<modelDirectory>/<name>/`. */
export function openFrom(modelDirectory: string, workers: OnnxWorkers): (name: string) => Promise<Loaded> {
  return async (name) => {
    if (!namePattern.test(name)) throw invalid(`${JSON.stringify(name)} is no model name`);
    const artifact = await findArtifact(join(modelDirectory, name));
    return { model: await openModel(artifact, workers), version: artifact.version };
  };
}

/** The same routes on a unix socket, which costs the agent less than loopback TCP. */
async function listenOnSocket(app: FastifyInstance, path: string): Promise<Server> {
  // Left behind by a process that was killed; the path is ours alone.
  await rm(path, { force: true });
  const server = createServer({ keepAliveTimeout: 600_000, requestTimeout: 300_000 }, app.routing);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return server;
}
