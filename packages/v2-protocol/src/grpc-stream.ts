import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { invalid } from './errors.ts';
import { ModelInferRequestSchema, ModelStreamInferResponseSchema } from './gen/inference_pb.js';
import { responseFrom } from './grpc-infer.ts';
import { decodeMessage } from './grpc-wire.ts';
import type { InferResponse } from './infer.ts';
import { defaultLimits, type Limits } from './limits.ts';

/** One answer of a ModelStreamInfer. */
export type StreamAnswer =
  | { readonly response: InferResponse }
  /** `id` is that of the request, if it had one; the stream goes on. */
  | { readonly error: string; readonly id: string | undefined };

const responseField = ModelStreamInferResponseSchema.field.inferResponse.number;

/** parameters["triton_final_response"] = true, as a field of a ModelInferResponse: clients of decoupled models wait for it. */
const finalParameter = new BinaryWriter()
  .tag(4, WireType.LengthDelimited)
  .fork()
  .tag(1, WireType.LengthDelimited)
  .string('triton_final_response')
  .tag(2, WireType.LengthDelimited)
  .fork()
  .tag(1, WireType.Varint)
  .bool(true)
  .join()
  .join()
  .finish();

/** A ModelInferResponse, encoded, as the one answer to its request. Fields may follow each other in any order, so it stays as it is. */
export function streamAnswerWith(response: Uint8Array): Uint8Array {
  const head = new BinaryWriter()
    .tag(responseField, WireType.LengthDelimited)
    .uint32(response.length + finalParameter.length)
    .finish();
  const answer = new Uint8Array(head.length + response.length + finalParameter.length);
  answer.set(head);
  answer.set(response, head.length);
  answer.set(finalParameter, head.length + response.length);
  return answer;
}

/** What is wrong with `request`, an encoded ModelInferRequest; with its id, if it can be read. */
export function streamErrorFor(request: Uint8Array, message: string): Uint8Array {
  const init = { errorMessage: message, inferResponse: { id: idOf(request) } };
  return toBinary(ModelStreamInferResponseSchema, create(ModelStreamInferResponseSchema, init));
}

function idOf(request: Uint8Array): string {
  try {
    return decodeMessage(ModelInferRequestSchema, request).id;
  } catch {
    return '';
  }
}

/** Decodes a ModelStreamInferResponse of any server. */
export function decodeGrpcStreamAnswer(bytes: Uint8Array, limits: Limits = defaultLimits): StreamAnswer {
  const { errorMessage, inferResponse } = decodeMessage(ModelStreamInferResponseSchema, bytes);
  if (errorMessage !== '') return { error: errorMessage, id: inferResponse?.id || undefined };
  if (inferResponse === undefined) throw invalid('the answer has neither an error nor a response');
  return { response: responseFrom(inferResponse, limits) };
}
