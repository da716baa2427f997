import * as grpc from '@grpc/grpc-js';
import { createRig as createHttpRig } from '../../testing/rig.ts';

const raw = (bytes: Buffer) => bytes;
const method = (name: string, streams: boolean): grpc.MethodDefinition<Buffer, Buffer> => ({
  path: `/inference.GRPCInferenceService/${name}`,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
});

const service = {
  ServerLive: method('ServerLive', false),
  ModelReady: method('ModelReady', false),
  ModelInfer: method('ModelInfer', false),
  ModelStreamInfer: method('ModelStreamInfer', true),
  RepositoryIndex: method('RepositoryIndex', false),
};

export type Unary = grpc.handleUnaryCall<Buffer, Buffer>;
export type Streaming = grpc.handleBidiStreamingCall<Buffer, Buffer>;
export type Handlers = { readonly infer?: Unary; readonly stream?: Streaming };

/** A request that asks `model`: field 1, and `payload` in field 7, as clients write raw input. */
export function request(model: string, payload: Buffer = Buffer.alloc(0)): Buffer {
  const name = Buffer.from(model);
  return Buffer.concat([Buffer.from([10, name.length]), name, field(7, payload)]);
}

function field(number: number, payload: Buffer): Buffer {
  if (payload.length === 0) return payload;
  const head = [(number << 3) | 2];
  let size = payload.length;
  for (; size > 127; size >>>= 7) head.push((size & 127) | 128);
  return Buffer.concat([Buffer.from([...head, size]), payload]);
}

export type GrpcError = grpc.ServiceError;
export { status } from '@grpc/grpc-js';

export type Client = ReturnType<typeof clientOf>;

const large = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

function clientOf(port: number, options: grpc.ChannelOptions, credentials = grpc.credentials.createInsecure()) {
  const Constructor = grpc.makeGenericClientConstructor(service, 'test');
  const client = new Constructor(`127.0.0.1:${port}`, credentials, {
    ...large,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  });
  const unary = (name: string, message: Buffer, metadata = new grpc.Metadata(), rest: grpc.CallOptions = {}) =>
    new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        `/inference.GRPCInferenceService/${name}`,
        ...([raw, raw, message, metadata, rest] as const),
        (error, value) => (error === null ? resolve(value!) : reject(error)),
      );
    });
  return {
    client,
    call: unary,
    infer: (model: string, payload?: Buffer) => unary('ModelInfer', request(model, payload)),
    /** The error of a call that must fail. */
    async failure(...args: Parameters<typeof unary>): Promise<GrpcError> {
      const answer = await unary(...args).catch((error: GrpcError) => error);
      if (answer instanceof Error) return answer as GrpcError;
      throw new Error('the call did not fail');
    },
    stream: (metadata = new grpc.Metadata(), rest: grpc.CallOptions = {}) =>
      client.makeBidiStreamRequest('/inference.GRPCInferenceService/ModelStreamInfer', raw, raw, metadata, rest),
  };
}

/** Model servers and clients of grpc-js around a relay, beside all that the other rig has. */
export function createRig() {
  const http = createHttpRig();
  const stops: (() => void)[] = [];
  return {
    ...http,
    async server({ infer, stream }: Handlers, port = 0) {
      const server = new grpc.Server(large);
      const echo: Unary = (call, done) => done(null, call.request);
      const echoStream: Streaming = (call) =>
        call.on('data', (message: Buffer) => call.write(message)).on('end', () => call.end());
      server.addService(service as grpc.ServiceDefinition, {
        ServerLive: echo,
        ModelReady: echo,
        ModelInfer: infer ?? echo,
        ModelStreamInfer: stream ?? echoStream,
        RepositoryIndex: echo,
      });
      const bound = await new Promise<number>((resolve, reject) => {
        server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, at) =>
          error === null ? resolve(at) : reject(error),
        );
      });
      stops.push(() => server.forceShutdown());
      return { server, port: bound, stop: () => server.forceShutdown() };
    },
    grpc(port: number, options: grpc.ChannelOptions = {}, credentials?: grpc.ChannelCredentials): Client {
      const client = clientOf(port, options, credentials);
      stops.push(() => client.client.close());
      return client;
    },
    async close() {
      for (const stop of stops.splice(0).reverse()) stop();
      await http.close();
    },
  };
}

export type GrpcRig = ReturnType<typeof createRig>;
export const metadata = (fields: Readonly<Record<string, string>>) => grpc.Metadata.fromHttp2Headers(fields);
