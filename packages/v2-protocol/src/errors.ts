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

/** The HTTP status of an error; the body is `{"error": message}` in V1 and V2 alike. */
export function httpStatusOf(code: InferenceErrorCode): number {
  return statuses[code];
}
