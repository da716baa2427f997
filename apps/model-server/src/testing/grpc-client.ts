import {
  create,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { GRPCInferenceService } from '@roundhouse/v2-protocol/grpc';

type Methods = typeof GRPCInferenceService.method;

export type GrpcClient = {
  /** Rejects with the library's ServiceError. */
  ask<Name extends keyof Methods>(
    name: Name,
    message: MessageInitShape<Methods[Name]['input']>,
  ): Promise<MessageShape<Methods[Name]['output']>>;
  /** Sends bytes as they are, to any path. */
  send(path: string, bytes: Uint8Array): Promise<Uint8Array>;
  /** Sends all requests of a stream at once; gives the answers, and what ended the stream if it failed. */
  stream(
    requests: readonly Uint8Array[],
    metadata?: Readonly<Record<string, string>>,
    method?: string,
  ): Promise<{ readonly answers: readonly Uint8Array[]; readonly failure: ServiceError | undefined }>;
  close(): void;
};

export const inferPath = `/${GRPCInferenceService.typeName}/ModelInfer`;

/** A client of the library that most clients in Node.js use, with messages as the protocol's documents have them. */
export function openGrpcClient(port: number): GrpcClient {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
  });
  const send = (path: string, bytes: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      const deadline = new Date(Date.now() + 15_000);
      client.makeUnaryRequest(
        path,
        (message: Uint8Array) => Buffer.from(message),
        (message: Buffer) => message,
        bytes,
        { deadline },
        (error, answer) => (error === null ? resolve(answer ?? new Uint8Array()) : reject(error)),
      );
    });
  return {
    async ask(name, message) {
      const { name: wireName, input, output } = GRPCInferenceService.method[name] as DescMethodUnary;
      const bytes = toBinary(input, create(input, message as MessageInitShape<typeof input>));
      return fromBinary(output, await send(`/${GRPCInferenceService.typeName}/${wireName}`, bytes)) as never;
    },
    send,
    stream(requests, metadata = {}, method = 'ModelStreamInfer') {
      const headers = new Metadata();
      for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
      const call = client.makeBidiStreamRequest(
        `/${GRPCInferenceService.typeName}/${method}`,
        (message: Uint8Array) => Buffer.from(message),
        (message: Buffer) => message,
        headers,
        { deadline: new Date(Date.now() + 15_000) },
      );
      const answers: Uint8Array[] = [];
      call.on('data', (answer: Uint8Array) => answers.push(answer));
      for (const request of requests) call.write(request);
      call.end();
      return new Promise((resolve) => {
        call.on('error', (failure: ServiceError) => resolve({ answers, failure }));
        call.on('end', () => resolve({ answers, failure: undefined }));
      });
    },
    close: () => client.close(),
  };
}
