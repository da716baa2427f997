export { type Surface, surfaces } from './conformance/rule.ts';
export { type DataType, dataTypes, layoutOf, type TensorData } from './data-type.ts';
export { grpcCodeOf, httpStatusOf, InferenceError, type InferenceErrorCode, invalid } from './errors.ts';
export {
  decodeInferRequest,
  decodeInferResponse,
  decodeRawRequest,
  type Encoded,
  encodeInferRequest,
  encodeInferResponse,
  type InferRequest,
  type InferResponse,
  isRawRequest,
  jsonLengthHeader,
  type RequestedOutput,
} from './infer.ts';
export { isRecord, parseJson, textOf } from './json.ts';
export { defaultLimits, type Limits, limitsFor } from './limits.ts';
export type { IndexEntry, ModelMetadata, ModelState, ServerMetadata } from './messages.ts';
export { elementCount, type Parameters, shapeText, type Tensor, type TensorMetadata } from './tensor.ts';
export { decodeV1Request, encodeV1Response } from './v1.ts';
