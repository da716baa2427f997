import { CodedError } from '@roundhouse/base';

export type KubeErrorCode =
  | 'kube/not-found'
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
  return new KubeError(codeFor(httpStatus, reason), message ?? `${request}: HTTP ${httpStatus}`);
}

export function isKubeError(error: unknown, code: KubeErrorCode): boolean {
  return error instanceof KubeError && error.code === code;
}

function codeFor(status: number, reason: string | undefined): KubeErrorCode {
  if (status === 404) return 'kube/not-found';
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
