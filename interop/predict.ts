import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { decodeGrpcResponse, encodeGrpcRequest } from '@roundhouse/v2-protocol/grpc';
import { request } from 'undici';
import type { Protocol } from './servers.ts';

export type Target = {
  readonly routerUrl: string;
  readonly service: string;
  readonly host: string;
  readonly model: string;
  readonly protocol: Protocol;
  /** Named by the path prefix instead of the host. gRPC knows the host only. */
  readonly prefix?: boolean;
};

const deadlineMs = 30_000;
const input = { name: 'input-0', datatype: 'FP32' as const, shape: [1, 1] };
const v1Body = JSON.stringify({ instances: [[1]] });
const v2Body = JSON.stringify({ inputs: [{ ...input, data: [1] }] });

/** One prediction: the number that the model answers with. Rejects with what came instead. */
export async function predict(target: Target): Promise<number> {
  return target.protocol === 'grpc' ? predictGrpc(target) : predictHttp(target);
}

async function predictHttp({ routerUrl, service, host, model, protocol, prefix }: Target): Promise<number> {
  const path = protocol === 'v1' ? `/v1/models/${model}:predict` : `/v2/models/${model}/infer`;
  const response = await request(`${routerUrl}${prefix === true ? `/serving/default/${service}` : ''}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(prefix === true ? {} : { host }) },
    body: protocol === 'v1' ? v1Body : v2Body,
    headersTimeout: deadlineMs,
  });
  const text = await response.body.text();
  if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode} ${text.slice(0, 300)}`);
  const answer: { predictions?: readonly unknown[]; outputs?: readonly { data: readonly unknown[] }[] } =
    JSON.parse(text);
  let value: unknown = answer.predictions ?? answer.outputs?.[0]?.data;
  while (Array.isArray(value)) value = value[0];
  return Number(value);
}

async function predictGrpc({ routerUrl, host, model }: Target): Promise<number> {
  const inputs = [{ ...input, data: Float32Array.of(1) }];
  const message = encodeGrpcRequest({
    modelName: model,
    modelVersion: undefined,
    request: { id: undefined, parameters: {}, inputs, outputs: [] },
    form: 'typed',
  });
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
    return Number(decodeGrpcResponse(answer).outputs[0]?.data[0]);
  } finally {
    client.close();
  }
}
