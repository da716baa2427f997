import { CodedError, systemCodeOf } from '@roundhouse/base';

export type StorageProblem =
  /** The text is no storage URI that we read. */
  | 'invalid-uri'
  /** The store answered that nothing is there. */
  | 'not-found'
  /** The store wants other credentials, or more rights for these. */
  | 'denied'
  /** Network, throttling, a server's fault, or no byte for too long: later may be better. */
  | 'unavailable'
  /** The object is not the one that was listed any more. */
  | 'changed'
  /** The content is wrong: size, checksum, a broken archive, a name that cannot be a file. */
  | 'invalid'
  /** We do not do this: an address, a path or an amount beyond what is allowed. */
  | 'refused'
  /** The disk is full. */
  | 'no-space';

/** What can go wrong with storage. Messages name bucket, key or host, and never a query string (it may be signed). */
export class StorageError extends CodedError<`storage/${StorageProblem}`> {
  constructor(
    problem: StorageProblem,
    message: string,
    options: { readonly detail?: string; readonly cause?: unknown } = {},
  ) {
    super(`storage/${problem}`, message, options);
    this.name = 'StorageError';
  }
}

/** The problem that an HTTP status of a store stands for. */
export function problemForStatus(status: number): StorageProblem {
  if (status === 404 || status === 410) return 'not-found';
  if (status === 401 || status === 403 || status === 407) return 'denied';
  if (status === 412 || status === 416) return 'changed';
  return 'unavailable';
}

/** `error` itself if it is ours; otherwise what broke on the way to `subject`, told by its system code. */
export function unavailable(subject: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const code = systemCodeOf(error);
  return new StorageError(
    'unavailable',
    `${subject}: ${reasons[code ?? ''] ?? `the connection failed (${code ?? 'unknown cause'})`}`,
    {
      cause: error,
    },
  );
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ECONNRESET: 'the connection was cut (ECONNRESET)',
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
  EAI_AGAIN: 'the name service does not answer (EAI_AGAIN)',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
};
