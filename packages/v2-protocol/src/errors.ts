import { CodedError } from '@roundhouse/base';

export type InferenceErrorCode =
  | 'inference/invalid'
  | 'inference/not-found'
  | 'inference/not-ready'
  | 'inference/too-large'
  | 'inference/unsupported'
  | 'inference/failed';

/** What a model server answers instead of a prediction. The message is shown to the client. */
export class InferenceError extends CodedError<InferenceErrorCode> {}

export function invalid(message: string): InferenceError {
  return new InferenceError('inference/invalid', message);
}

const statuses: Readonly<Record<InferenceErrorCode, number>> = {
  'inference/invalid': 400,
  'inference/not-found': 404,
  'inference/too-large': 413,
  'inference/failed': 500,
  'inference/unsupported': 501,
  'inference/not-ready': 503,
};

const grpcCodes: Readonly<Record<InferenceErrorCode, number>> = {
  'inference/invalid': 3, // INVALID_ARGUMENT
  'inference/not-found': 5, // NOT_FOUND
  'inference/too-large': 8, // RESOURCE_EXHAUSTED
  'inference/failed': 13, // INTERNAL
  'inference/unsupported': 12, // UNIMPLEMENTED
  'inference/not-ready': 14, // UNAVAILABLE
};

/** The gRPC status code of an error. */
export function grpcCodeOf(code: InferenceErrorCode): number {
  return grpcCodes[code];
}

/** The HTTP status of an error; the body is `{"error": message}` in V1 and V2 alike. */
export function httpStatusOf(code: InferenceErrorCode): number {
  return statuses[code];
}
