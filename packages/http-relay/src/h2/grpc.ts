import { type Refusal, refusals } from '../refusal.ts';
import { type Route, routes } from '../route.ts';
import { Field } from './field.ts';
import { HeaderBlock } from './header-block.ts';

const service = '/inference.GRPCInferenceService';

/** The methods that may pass: those of the V2 protocol that ask, and none that changes something. */
const methods: ReadonlyMap<string, Route> = new Map<string, Route>([
  [`${service}/ServerLive`, routes.grpcServer],
  [`${service}/ServerReady`, routes.grpcServer],
  [`${service}/ServerMetadata`, routes.grpcServer],
  [`${service}/ModelReady`, routes.grpcModel],
  [`${service}/ModelMetadata`, routes.grpcModel],
  [`${service}/ModelInfer`, routes.grpcInfer],
  [`${service}/ModelStreamInfer`, routes.grpcInfer],
]);

export const grpcRoute = (path: string): Route => methods.get(path) ?? routes.unknown;

/** gRPC's status codes by the HTTP status that refusals have. */
const grpcStatuses: Readonly<Record<number, number>> = {
  401: 16, // UNAUTHENTICATED
  403: 7, // PERMISSION_DENIED
  404: 5, // NOT_FOUND
  408: 4, // DEADLINE_EXCEEDED
  413: 8, // RESOURCE_EXHAUSTED
  429: 8,
  431: 8,
  501: 12, // UNIMPLEMENTED
  502: 14, // UNAVAILABLE
  503: 14,
  504: 4,
};

/** HTTP statuses that stand for gRPC's codes 0 to 16 where requests are counted (google/rpc/code.proto). */
const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

export const httpStatusOf = (grpcStatus: number) => httpStatuses[grpcStatus] ?? 500;

const grpcStatusOf = (status: number) => grpcStatuses[status] ?? (status < 500 ? 3 : 13); // INVALID_ARGUMENT, INTERNAL

/** A refusal as a whole answer: a head that is its trailers as well. */
export function refusalBlock(refusal: Refusal, own: readonly Field[] = []): HeaderBlock {
  const fields = [
    new Field(':status', '200'),
    new Field('content-type', 'application/grpc'),
    ...own,
    ...status(refusal),
  ];
  return new HeaderBlock(fields).asOurs(refusal.notHere === true);
}

/** A refusal as the trailers of an answer that has begun. */
export const refusalTrailers = (refusal: Refusal): HeaderBlock => new HeaderBlock(status(refusal));

function status(refusal: Refusal): Field[] {
  const fields = [
    new Field('grpc-status', `${grpcStatusOf(refusal.status)}`),
    new Field('grpc-message', encodeURI(refusal.message).replaceAll('%20', ' ')),
    new Field('x-roundhouse-reason', refusal.reason),
  ];
  if (refusal.retryAfterS !== undefined) {
    fields.push(new Field('grpc-retry-pushback-ms', `${refusal.retryAfterS * 1_000}`));
  }
  return fields;
}

/** What the beginning of a request says about its model. */
export type Named = { readonly kind: 'named'; readonly start: number; readonly end: number } | Unnamed;

export type Unnamed = { readonly kind: 'more' } | { readonly kind: 'refused'; readonly refusal: Refusal };

const more: Named = { kind: 'more' };
const refused = (status: number, reason: string, message: string): Named => ({
  kind: 'refused',
  refusal: { status, reason, message },
});
const compressed = refused(
  501,
  'model-hidden',
  'the message is compressed: name the model in the metadata mm-model-id, or send it uncompressed',
);
const malformed = refused(400, 'malformed-request', 'the message is not a valid request');
const nameless: Named = { kind: 'refused', refusal: refusals.nameless };
export const hidden: Refusal = {
  status: 501,
  reason: 'model-hidden',
  message: 'the model is not named in the first 64 KiB of the message: name it in the metadata mm-model-id',
};

/** A name longer than this is no Kubernetes name (253). */
const nameSizeMax = 256;

/**
 * Finds field 1, the model's name in all requests that have one, in the first message of `[0, end)`. Messages begin with a byte
 * that tells whether they are compressed and their length; writers put field 1 first, but it may come later.
 */
export function modelIn(bytes: Uint8Array, start: number, end: number): Named {
  if (end - start < 5) return end > start && bytes[start] === 1 ? compressed : more;
  if (bytes[start] !== 0) return bytes[start] === 1 ? compressed : malformed;
  const size =
    ((bytes[start + 1]! << 24) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 8) | bytes[start + 4]!) >>> 0;
  const messageEnd = start + 5 + size;
  const cursor = { at: start + 5 };
  while (cursor.at < messageEnd) {
    const tag = varint(bytes, cursor, end);
    if (tag < 0) return tag === -1 ? more : malformed;
    const wireType = tag & 7;
    const length = wireType === 0 || wireType === 2 ? varint(bytes, cursor, end) : wireType === 1 ? 8 : 4;
    if (length < 0) return length === -1 ? more : malformed;
    if (wireType === 3 || wireType === 4 || wireType > 5) return malformed;
    const fieldEnd = wireType === 0 ? cursor.at : cursor.at + length;
    if (fieldEnd > messageEnd) return malformed;
    if (tag === 10) {
      if (length === 0) return nameless;
      if (length > nameSizeMax) return malformed;
      return fieldEnd <= end ? { kind: 'named', start: cursor.at, end: fieldEnd } : more;
    }
    cursor.at = fieldEnd;
    if (cursor.at >= end && cursor.at < messageEnd) return more;
  }
  return nameless;
}

/** -1: not all there, -2: not valid. Of values beyond 2^53 only the length matters. */
function varint(bytes: Uint8Array, cursor: { at: number }, end: number): number {
  let value = 0;
  for (let scale = 1, count = 0; count < 10; count++, scale *= 128) {
    if (cursor.at >= end) return -1;
    const byte = bytes[cursor.at++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  return -2;
}
