import { CodedError } from '@roundhouse/base';

/** What a caller can do about it tells the kinds apart. */
export type KubeErrorKind =
  | 'not-found'
  | 'already-exists'
  | 'conflict' // read again, decide again
  | 'gone' // this resourceVersion or page is too old: list again
  | 'invalid' // only another request can succeed
  | 'denied'
  | 'unavailable'; // the same request may succeed later

/** A request that the API server refused, or that did not get there. */
export class KubeError extends CodedError<`kube/${KubeErrorKind}`> {
  readonly kind: KubeErrorKind;
  /** What the server asked for, when it did. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: KubeErrorKind,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined } = {},
  ) {
    super(`kube/${kind}`, message, { cause: options.cause });
    this.name = 'KubeError';
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether `error` is a KubeError of this kind. */
export function isKubeError(error: unknown, kind: KubeErrorKind): error is KubeError {
  return error instanceof KubeError && error.kind === kind;
}

/** The `Status` object of an answer other than success (also sent within watches). */
type Status = { readonly code?: number; readonly reason?: string; readonly message?: string };

/** The error for an answer, from its HTTP status and its body, which is a `Status` unless a proxy wrote it. */
export function kubeErrorFor(statusCode: number, body: string, request: string, retryAfterMs?: number): KubeError {
  const { reason, message } = statusIn(body);
  return new KubeError(
    kindFor(statusCode, reason),
    `${request}: ${statusCode} ${message ?? reason ?? 'no reason given'}`,
    {
      retryAfterMs,
    },
  );
}

function kindFor(statusCode: number, reason: string | undefined): KubeErrorKind {
  if (statusCode === 404) return 'not-found';
  if (statusCode === 409) return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
  if (statusCode === 410) return 'gone';
  if (statusCode === 401 || statusCode === 403) return 'denied';
  if (statusCode === 429 || statusCode >= 500) return 'unavailable';
  return 'invalid';
}

function statusIn(body: string): Status {
  try {
    return JSON.parse(body) as Status;
  } catch {
    return { message: body.slice(0, 200) };
  }
}
