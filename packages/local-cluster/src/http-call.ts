import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '@roundhouse/base';
import { parse as parseYaml } from 'yaml';
import { ApiError } from './api.ts';
import { isJson, type Json } from './json.ts';
import { decodeProtobuf } from './protobuf.ts';
import type { User } from './reviews.ts';
import { badRequest, statusOf } from './status.ts';

/** One request on its way, and how it is answered. */
export type Call = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly user: User;
};

/** How the client wants objects: whole, as a table, or their metadata alone. */
export type Shape = 'object' | 'table' | 'partial';

/** What Kubernetes takes as well. */
const bodySizeBytesMax = 3 * 1024 * 1024;

/** The body's JSON (or YAML); an empty body is undefined. */
export async function readBody({ request }: Call): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes > bodySizeBytesMax) {
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodySizeBytesMax}`);
    }
    chunks.push(chunk);
  }
  if (sizeBytes === 0) return undefined;
  const bytes = Buffer.concat(chunks);
  const type = mediaTypeOf(request.headers['content-type']);
  if (type === 'application/vnd.kubernetes.protobuf') {
    const decoded = decodeProtobuf(bytes);
    if (decoded) return decoded;
    const supported = 'accepted media types include: application/json, application/yaml';
    throw new ApiError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format - ${supported}`);
  }
  const text = bytes.toString();
  try {
    return type.endsWith('yaml') ? parseYaml(text) : JSON.parse(text);
  } catch (error) {
    throw badRequest(`couldn't parse the body: ${messageOf(error)}`);
  }
}

export async function readObject(call: Call): Promise<Json> {
  const body = await readBody(call);
  if (isJson(body)) return body;
  throw badRequest('the body of the request must be an object');
}

export function mediaTypeOf(header: string | undefined): string {
  return (header ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** The first of the accepted media types that we serve. */
export function shapeOf({ request }: Call): Shape {
  const accepted = (request.headers.accept ?? '*/*').split(',').map((range) => range.trim());
  for (const range of accepted) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
    const isJsonType = ['application/json', '*/*', 'application/*', 'application/yaml'].includes(type);
    if (as === undefined ? !isJsonType : type !== 'application/json' || !parameters.includes('g=meta.k8s.io')) continue;
    if (as === undefined) return 'object';
    if (as === 'Table') return 'table';
    if (as.startsWith('PartialObjectMetadata')) return 'partial';
  }
  const supported = 'only the following media types are accepted: application/json, application/yaml';
  throw new ApiError(406, 'NotAcceptable', supported);
}

export function sendJson({ response }: Call, code: number, body: unknown, headers: Record<string, string> = {}): void {
  const text = JSON.stringify(body);
  response.writeHead(code, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
    ...headers,
  });
  response.end(text);
}

export function sendText({ response }: Call, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
  response.end(text);
}

export function sendError(call: Call, error: unknown): void {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`);
  if (call.response.headersSent) call.response.destroy();
  else sendJson(call, known.status, statusOf(known));
}

/** Warnings as HTTP headers, which kubectl prints. */
export function warningHeaders(warnings: readonly string[]): Record<string, string> {
  if (warnings.length === 0) return {};
  const quoted = warnings.map((text) => `299 - "${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
  return { warning: quoted.join(', ') };
}
