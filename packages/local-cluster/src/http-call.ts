import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Clock, messageOf } from '@roundhouse/base';
import { parse as parseYaml } from 'yaml';
import { ApiError, type KubeObject, type PodLogs } from './api.ts';
import type { LocalApi } from './create-api.ts';
import { isJson, type Json } from './json.ts';
import { decodeProtobuf } from './protobuf.ts';
import { badRequest, statusOf } from './status.ts';
import type { User } from './tokens.ts';

export type Snapshot = { readonly items: readonly KubeObject[]; readonly revision: number };

/** What requests are answered from. */
export type Server = {
  readonly api: LocalApi;
  readonly clock: Clock;
  readonly logs: PodLogs | undefined;
  /** Lists that clients read in pieces: the rest of each, as it was when the list began. */
  readonly lists: Map<string, Snapshot>;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
};

/** One request on its way, and how it is answered. */
export type Call = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly user: User;
};

/** Whether a parameter of the query says yes, as Kubernetes reads it. */
export function isOn({ query }: Call, parameter: string): boolean {
  return ['1', 'true'].includes(query.get(parameter) ?? '');
}

/** A number of the query; undefined when it is not given. Throws 400 for anything but a whole one from 0. */
export function numberOf({ query }: Call, parameter: string): number | undefined {
  const text = query.get(parameter);
  if (text === null || text === '') return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw badRequest(`${parameter}: Invalid value: "${text}": invalid syntax`);
}

/** What Kubernetes takes as well. */
const bodySizeBytesMax = 3 * 1024 * 1024;

/** The body's JSON, YAML or protobuf; an empty body is undefined. */
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
  return sizeBytes === 0 ? undefined : decode(mediaTypeOf(request.headers['content-type']), Buffer.concat(chunks));
}

function decode(type: string, bytes: Buffer): unknown {
  const decoders = [
    [/^application\/vnd\.kubernetes\.protobuf$/, decodeProtobuf],
    [/yaml$/, (body: Buffer) => parseYaml(body.toString())],
    [/./, (body: Buffer) => JSON.parse(body.toString())],
  ] as const;
  try {
    const decoded = (decoders.find(([pattern]) => pattern.test(type)) ?? decoders[2])[1](bytes);
    if (decoded !== undefined) return decoded;
  } catch (error) {
    throw badRequest(`couldn't parse the body: ${messageOf(error)}`);
  }
  const supported = 'accepted media types include: application/json, application/yaml';
  throw new ApiError(415, 'UnsupportedMediaType', `the body of the request was in an unknown format - ${supported}`);
}

export async function readObject(call: Call): Promise<Json> {
  const body = await readBody(call);
  if (isJson(body)) return body;
  throw badRequest('the body of the request must be an object');
}

export function mediaTypeOf(header = ''): string {
  return header.split(';')[0]?.trim().toLowerCase() ?? '';
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

export function sendError(call: Call, error: unknown): void {
  const why = `Internal error occurred: ${messageOf(error)}`;
  const known = error instanceof ApiError ? error : new ApiError(500, 'InternalError', why);
  if (call.response.headersSent) call.response.destroy();
  else sendJson(call, known.status, statusOf(known));
}

/** Warnings as HTTP headers, which kubectl prints. */
export function warningHeaders(warnings: readonly string[]): Record<string, string> {
  if (warnings.length === 0) return {};
  return { warning: warnings.map((text) => `299 - ${JSON.stringify(text)}`).join(', ') };
}
