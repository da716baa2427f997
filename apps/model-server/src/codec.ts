import {
  decodeInferRequest,
  decodeV1Request,
  encodeInferResponse,
  encodeV1Response,
  type InferResponse,
  type Limits,
  type Tensor,
} from '@roundhouse/v2-protocol';
import type { decodeGrpcRequest, encodeGrpcResponse } from '@roundhouse/v2-protocol/grpc';
import type { Pool } from './threads/pool.ts';

/** Function of the same arguments that may answer later. */
type Later<Codec extends (...given: never[]) => unknown> = (
  ...given: WithoutLimits<Parameters<Codec>>
) => ReturnType<Codec> | Promise<ReturnType<Codec>>;

/** The limits are those of the codec. */
type WithoutLimits<Given extends readonly unknown[]> = Given extends [...infer Rest, (Limits | undefined)?]
  ? Rest
  : Given;

/** Requests and responses to and from bytes: on the spot where that takes less than some 2 ms, otherwise on another thread. */
export type Codec = {
  readonly decodeInferRequest: Later<typeof decodeInferRequest>;
  readonly encodeInferResponse: Later<typeof encodeInferResponse>;
  readonly decodeV1Request: Later<typeof decodeV1Request>;
  readonly encodeV1Response: Later<typeof encodeV1Response>;
};

export type GrpcCodec = {
  readonly decode: Later<typeof decodeGrpcRequest>;
  readonly encode: Later<typeof encodeGrpcResponse>;
};

/** JSON is read at about 100 MB/s. */
const jsonBytesMax = 192 * 1024;
/** A number is written in about 0.1 µs. */
const elementsMax = 16 * 1024;
/** Raw contents are copied, typed ones read number by number at about 200 MB/s. */
const grpcBytesMax = 384 * 1024;

export function createCodec({ ask }: Pick<Pool, 'ask'>, limits: Limits): Codec {
  return {
    decodeInferRequest(body, jsonLength) {
      // A length that is none is refused by the decoder.
      const jsonBytes = jsonLength === undefined ? body.length : Number(jsonLength);
      return jsonBytes > jsonBytesMax
        ? ask('decodeInferRequest', body, jsonLength, limits)
        : decodeInferRequest(body, jsonLength, limits);
    },
    encodeInferResponse: (response, { outputs, parameters }) =>
      isLarge(response)
        ? ask('encodeInferResponse', response, { outputs, parameters })
        : encodeInferResponse(response, { outputs, parameters }),
    decodeV1Request: (body, inputs, features) =>
      body.length > jsonBytesMax
        ? ask('decodeV1Request', body, inputs, features, limits)
        : decodeV1Request(body, inputs, features, limits),
    encodeV1Response: (outputs) =>
      isLarge({ outputs }) ? ask('encodeV1Response', outputs) : encodeV1Response(outputs),
  };
}

export async function createGrpcCodec({ ask }: Pick<Pool, 'ask'>, limits: Limits): Promise<GrpcCodec> {
  const grpc = await import('@roundhouse/v2-protocol/grpc');
  return {
    decode: (bytes) =>
      bytes.length > grpcBytesMax ? ask('decodeGrpcRequest', bytes, limits) : grpc.decodeGrpcRequest(bytes, limits),
    encode: (response, form) =>
      isLarge(response) ? ask('encodeGrpcResponse', response, form) : grpc.encodeGrpcResponse(response, form),
  };
}

function isLarge({ outputs }: { readonly outputs: InferResponse['outputs'] | readonly Tensor[] }): boolean {
  return outputs.some(({ data }) => data.length > elementsMax);
}
