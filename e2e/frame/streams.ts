import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { encodeGrpcRequest } from '@roundhouse/v2-protocol/grpc';

const paceMs = 100;

export type InferStream = {
  /** Sends no more; resolves with how many requests were sent and answered once the stream has ended. Rejects when it broke. */
  end(): Promise<{ readonly sent: number; readonly answered: number }>;
};

/** One ModelStreamInfer call that asks again and again for as long as it is open. */
export function openInferStream(routerUrl: string, host: string, model: string): InferStream {
  const input = { name: 'input-0', datatype: 'FP32' as const, shape: [1, 1], data: Float32Array.of(1) };
  const request = { id: undefined, parameters: {}, inputs: [input], outputs: [] };
  const message = encodeGrpcRequest({ modelName: model, modelVersion: undefined, request, form: 'typed' });
  const client = new Client(new URL(routerUrl).host, credentials.createInsecure(), { 'grpc.default_authority': host });
  const call = client.makeBidiStreamRequest(
    '/inference.GRPCInferenceService/ModelStreamInfer',
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
    new Metadata(),
    {},
  );
  let sent = 0;
  let answered = 0;
  const timer = setInterval(() => {
    call.write(message);
    sent++;
  }, paceMs);
  const ended = new Promise<void>((resolve, reject) => {
    call.on('data', () => answered++);
    call.on('end', resolve);
    call.on('error', reject);
  });
  ended.catch(() => {}); // told by end()
  return {
    async end() {
      clearInterval(timer);
      call.end();
      try {
        await ended;
      } finally {
        client.close();
      }
      return { sent, answered };
    },
  };
}
