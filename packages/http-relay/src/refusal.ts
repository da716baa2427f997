import { notHereName } from './fields.ts';
import { persistence } from './splice.ts';

/** An answer of our own, in the form of both protocols: `{"error": message}`. `reason` is for programs. */
export type Refusal = {
  readonly status: number;
  /** Goes into `x-roundhouse-reason`; listed in docs/spec/errors.md. */
  readonly reason: string;
  readonly message: string;
  /** Instead of the message as JSON, where somebody expects these very bytes. */
  readonly text?: string;
  readonly retryAfterS?: number;
  /** An agent says: another replica may have this model. Routers act on it and do not pass it on. */
  readonly notHere?: boolean;
  /** Methods that would be taken, for 405. */
  readonly allow?: string;
  /** How to say who one is, for 401. */
  readonly authenticate?: string;
};

const phrases: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  417: 'Expectation Failed',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

/** The bytes of a refusal. `bodyless` as for HEAD: the same head without the body. `own`: field lines to add. */
export function renderedRefusal(refusal: Refusal, persist: number, bodyless: boolean, own = ''): Buffer {
  const body = refusal.text ?? JSON.stringify({ error: refusal.message });
  const lines = [
    `HTTP/1.1 ${refusal.status} ${phrases[refusal.status] ?? 'Refused'}`,
    `content-type: ${refusal.text === undefined ? 'application/json' : 'text/plain'}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-roundhouse-reason: ${refusal.reason}`,
  ];
  if (refusal.retryAfterS !== undefined) lines.push(`retry-after: ${refusal.retryAfterS}`);
  if (refusal.notHere) lines.push(`${notHereName}: 1`);
  if (refusal.allow !== undefined) lines.push(`allow: ${refusal.allow}`);
  if (refusal.authenticate !== undefined) lines.push(`www-authenticate: ${refusal.authenticate}`);
  if (persist === persistence.close) lines.push('connection: close');
  else if (persist === persistence.keepAlive) lines.push('connection: keep-alive');
  return Buffer.from(`${lines.join('\r\n')}\r\n${own}\r\n${bodyless ? '' : body}`);
}

/** Why a head was not understood, by the status that its parser gave. */
export function malformed(status: number): Refusal {
  return { status, reason: 'malformed-request', message: malformedMessages[status] ?? 'the request is malformed' };
}

const malformedMessages: Readonly<Record<number, string>> = {
  400: 'the request is not valid HTTP/1.1',
  417: 'the only expectation understood is 100-continue',
  431: 'the request head is larger than 32 KiB or has more than 100 fields',
  501: 'the only transfer coding understood is chunked, and tunnels are not offered',
  505: 'only HTTP/1.1 and HTTP/1.0 are spoken here',
};

export const refusals = {
  path: { status: 404, reason: 'path-not-allowed', message: 'this path is not served here' },
  method: { status: 501, reason: 'path-not-allowed', message: 'this method is not served here' },
  nameless: { status: 400, reason: 'malformed-request', message: 'the message names no model' },
  metadata: { status: 431, reason: 'malformed-request', message: 'the metadata is larger than 32 KiB or 100 fields' },
  truncated: { status: 502, reason: 'truncated', message: 'the connection to the model server was lost' },
  escape: { status: 400, reason: 'malformed-path', message: 'the path holds an invalid percent-encoding' },
  bodySize: { status: 413, reason: 'body-too-large', message: 'the body is larger than this service takes' },
  body: { status: 400, reason: 'malformed-request', message: 'the body is not valid chunked coding' },
  headTimeout: { status: 408, reason: 'request-timeout', message: 'the request head did not arrive in time' },
  bodyTimeout: { status: 408, reason: 'request-timeout', message: 'the request body did not arrive in time' },
  parkedMax: { status: 503, reason: 'overloaded', message: 'too many requests wait for a replica', retryAfterS: 1 },
  parkedMs: { status: 503, reason: 'no-replica', message: 'no replica became available in time', retryAfterS: 1 },
  connections: { status: 503, reason: 'overloaded', message: 'the replica has too many requests', retryAfterS: 1 },
  connect: { status: 503, reason: 'no-replica', message: 'no replica could be reached', retryAfterS: 1 },
  reset: { status: 502, reason: 'upstream-reset', message: 'the connection to the model server was lost' },
  protocol: { status: 502, reason: 'upstream-protocol', message: 'the answer of the model server is not valid HTTP' },
  timeout: { status: 504, reason: 'upstream-timeout', message: 'the model server did not answer in time' },
} as const satisfies Record<string, Refusal>;

export const methodRefusal = (allow: string): Refusal => ({
  status: 405,
  reason: 'method-not-allowed',
  message: `this path takes ${allow}`,
  allow,
});

export const postOnly = methodRefusal('POST');
export const readOnly = methodRefusal('GET, HEAD');
