export * from './gen/inference_pb.js';
export {
  decodeGrpcRequest,
  decodeGrpcResponse,
  encodeGrpcRequest,
  encodeGrpcResponse,
  type GrpcRequest,
} from './grpc-infer.ts';
export { decodeGrpcStreamAnswer, type StreamAnswer, streamAnswerWith, streamErrorFor } from './grpc-stream.ts';
export type { ContentsForm } from './grpc-tensor.ts';
export { decodeMessage } from './grpc-wire.ts';
