import { CodedError } from '@roundhouse/base';

export type KubeErrorCode =
  | 'kube/not-found'
  /** The API server does not serve the kind. */
  | 'kube/no-kind'
  | 'kube/already-exists'
  | 'kube/conflict'
  | 'kube/gone'
  | 'kube/invalid'
  | 'kube/denied'
  | 'kube/unavailable';

/** An answer of the API server other than success, or none at all (`kube/unavailable`, the one that heals by waiting). */
export class KubeError extends CodedError<KubeErrorCode> {}

/** The error for an answer's HTTP status and its `Status` object, when the body is one. */
export function kubeErrorFor(request: string, httpStatus: number, body: string): KubeError {
  const { reason, message } = statusOf(body);
  return new KubeError(codeFor(httpStatus, reason, message), message ?? `${request}: HTTP ${httpStatus}`);
}

export function isKubeError(error: unknown, code: KubeErrorCode): boolean {
  return error instanceof KubeError && error.code === code;
}

function codeFor(status: number, reason: string | undefined, message: string | undefined): KubeErrorCode {
  // Of a kind that it does not know, an API server says only so much, or sends a plain text.
  const isServed = reason === 'NotFound' && message !== 'the server could not find the requested resource';
  if (status === 404) return isServed ? 'kube/not-found' : 'kube/no-kind';
  if (status === 409) return reason === 'AlreadyExists' ? 'kube/already-exists' : 'kube/conflict';
  if (status === 410) return 'kube/gone';
  if (status === 401 || status === 403) return 'kube/denied';
  if (status === 408 || status === 429 || status >= 500) return 'kube/unavailable';
  return 'kube/invalid';
}

function statusOf(body: string): { readonly reason?: string; readonly message?: string } {
  try {
    return JSON.parse(body);
  } catch {
    return {};
  }
}
