import { type DescMethodUnary, fromJson, type JsonValue, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { messageOf } from '@roundhouse/base';
import { grpcCodeOf, InferenceError } from '@roundhouse/v2-protocol';
import { decodeMessage, GRPCInferenceService } from '@roundhouse/v2-protocol/grpc';
import { createGrpcCodec, type GrpcCodec } from './codec.ts';
import { streamOf } from './grpc-stream.ts';
import { measured } from './measure.ts';
import { ModelRefused } from './model.ts';
import type { ServeDeps } from './route.ts';
import { createV2, serverMetadata } from './v2.ts';

export type GrpcServer = { readonly port: number; close(): Promise<void> };

/** Calls of one connection under way at a time; each may hold a request of the largest size. */
const streamsMax = 128;

/** How long calls under way may take to end once the server is to stop; the agent has drained it by then. */
const closeMsMax = 5_000;

type Handler = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Serves inference.GRPCInferenceService. Resolves when it listens. */
export async function serveGrpc(deps: ServeDeps, host: string, port: number): Promise<GrpcServer> {
  const codec = await createGrpcCodec(deps.pool, deps.limits);
  const server = new Server({
    'grpc.max_receive_message_length': deps.bodyBytesMax,
    'grpc.max_concurrent_streams': streamsMax,
    'grpc.enable_channelz': 0,
  });
  const handlers = handlersFor(deps, codec);
  for (const [name, handler] of Object.entries(handlers)) {
    const { name: wireName } = GRPCInferenceService.method[name as keyof typeof GRPCInferenceService.method];
    const path = `/${GRPCInferenceService.typeName}/${wireName}`;
    server.register(path, unary(handler), asBuffer, asBytes, 'unary');
  }
  const { modelStreamInfer } = GRPCInferenceService.method;
  const streamPath = `/${GRPCInferenceService.typeName}/${modelStreamInfer.name}`;
  server.register(streamPath, streamOf(handlers.modelInfer, failureOf), asBuffer, asBytes, 'bidi');
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, taken) =>
      error === null ? resolve(taken) : reject(error),
    ),
  );
  return {
    port: bound,
    async close() {
      const cancel = deps.clock.after(closeMsMax, () => server.forceShutdown());
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      cancel();
    },
  };
}

// Messages are decoded by the handlers, so that what is wrong with one becomes INVALID_ARGUMENT and not INTERNAL.
const asBytes = (bytes: Buffer) => bytes;
const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function unary(handler: Handler) {
  return ({ request }: ServerUnaryCall<Buffer, Uint8Array>, callback: sendUnaryData<Uint8Array>) => {
    Promise.try(handler, request).then(
      (bytes) => callback(null, bytes),
      (error) => callback(failureOf(error)),
    );
  };
}

type UnaryName = Exclude<keyof typeof GRPCInferenceService.method, 'modelStreamInfer'>;

function handlersFor(deps: ServeDeps, codec: GrpcCodec): Record<UnaryName, Handler> {
  const { method } = GRPCInferenceService;
  const v2 = createV2(deps.repository);
  return {
    serverLive: answer(method.serverLive, () => ({ live: true })),
    serverReady: answer(method.serverReady, () => ({ ready: true })),
    serverMetadata: answer(method.serverMetadata, () => serverMetadata),
    modelReady: answer(method.modelReady, async ({ name, version }) => ({
      ready: await isReady(v2, name, versionOf(version)),
    })),
    modelMetadata: answer(method.modelMetadata, ({ name, version }) => v2.metadata(name, versionOf(version))),
    modelInfer: (bytes) => infer(deps, codec, bytes),
    modelStatistics: answer(method.modelStatistics, ({ name, version }) =>
      v2.statistics(name || undefined, versionOf(version)),
    ),
    repositoryIndex: answer(method.repositoryIndex, ({ repositoryName, ready }) => {
      refuseRepository(repositoryName);
      return { models: v2.index(ready) };
    }),
    repositoryModelLoad: answer(method.repositoryModelLoad, async ({ repositoryName, modelName, parameters }) => {
      refuseRepository(repositoryName);
      await v2.load(modelName, Object.keys(parameters));
      return {};
    }),
    repositoryModelUnload: answer(method.repositoryModelUnload, async ({ repositoryName, modelName }) => {
      refuseRepository(repositoryName);
      await v2.unload(modelName);
      return {};
    }),
  };
}

/** A method whose answer is given as JSON: the messages' JSON form is what REST has. */
function answer<Method extends DescMethodUnary>(
  { input, output }: Method,
  handle: (request: MessageShape<Method['input']>) => unknown,
): Handler {
  return async (bytes) => {
    const json = await handle(decodeMessage(input, bytes) as MessageShape<Method['input']>);
    return toBinary(output, fromJson(output, json as JsonValue));
  };
}

function infer(deps: ServeDeps, codec: GrpcCodec, bytes: Uint8Array): Promise<Uint8Array> {
  return measured(deps, async (laps) => {
    const { modelName, modelVersion, request, form } = await codec.decode(bytes);
    laps.decoded(modelName, request.inputs);
    const response = await deps.inference.infer(modelName, modelVersion, request);
    laps.predicted();
    return await codec.encode(response, form);
  });
}

/** A model that is loading is known, so this is an answer and not an error. */
async function isReady(v2: ReturnType<typeof createV2>, name: string, version: string | undefined): Promise<boolean> {
  try {
    await v2.ready(name, version);
    return true;
  } catch (error) {
    if (error instanceof InferenceError && error.code === 'inference/not-ready') return false;
    throw error;
  }
}

function refuseRepository(name: string) {
  if (name !== '')
    throw new InferenceError(
      'inference/unsupported',
      'there is one repository, and it has no name; leave the name out',
    );
}

/** Strings are never missing in a message, but empty. */
function versionOf(text: string): string | undefined {
  return text || undefined;
}

function failureOf(error: unknown) {
  return { code: statusOf(error), details: detailsOf(error) };
}

const refusals: Readonly<Record<ModelRefused['code'], status>> = {
  'model/not-found': status.NOT_FOUND,
  'model/invalid': status.INVALID_ARGUMENT,
  'model/unsupported': status.INVALID_ARGUMENT,
  'model/no-space': status.RESOURCE_EXHAUSTED,
};

function statusOf(error: unknown): status {
  if (error instanceof InferenceError) return grpcCodeOf(error.code);
  if (error instanceof ModelRefused) return refusals[error.code];
  return status.INTERNAL;
}

/** Goes into a header, which is bounded (and must be well-formed, however it is cut); names in it may be as long as a request. */
function detailsOf(error: unknown): string {
  return messageOf(error).slice(0, 1_000).toWellFormed();
}
