import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { decodeGrpcResponse, encodeGrpcRequest } from '@roundhouse/v2-protocol/grpc';

const deadlineMs = 10_000;

/** One ModelInfer call through the router, as grpc-js makes it; the first number of its answer. Rejects with the call's error. */
export async function predictGrpc(routerUrl: string, host: string, model: string): Promise<unknown> {
  const input = { name: 'input-0', datatype: 'FP32' as const, shape: [1, 1], data: Float32Array.of(1) };
  const request = { id: undefined, parameters: {}, inputs: [input], outputs: [] };
  const message = encodeGrpcRequest({ modelName: model, modelVersion: undefined, request, form: 'typed' });
  const client = new Client(new URL(routerUrl).host, credentials.createInsecure(), { 'grpc.default_authority': host });
  try {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        '/inference.GRPCInferenceService/ModelInfer',
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        message,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
      );
    });
    return decodeGrpcResponse(answer).outputs[0]?.data[0];
  } finally {
    client.close();
  }
}
