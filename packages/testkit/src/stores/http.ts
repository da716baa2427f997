import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FakeServer, startServer } from './server.ts';

export type HttpStoreKnobs = {
  /** Called before each answer; a promise delays it. */
  before?: (request: IncomingMessage) => Promise<void> | void;
  /** So many of the next requests are answered with 503. */
  failures: number;
  /** Cuts the connection after so many body bytes, so many times. */
  cutAfterBytes: number;
  cuts: number;
  /** Answers without Content-Length, in chunks. */
  chunked: boolean;
  /** Ignores Range and sends everything. */
  withoutRanges: boolean;
  withoutEtags: boolean;
};

export type FakeHttpStore = FakeServer & {
  /** By path, with leading slash. A change gives a new ETag. */
  readonly files: Map<string, { readonly body: Uint8Array; readonly contentType?: string }>;
  /** Paths that answer 302 with this Location. */
  readonly redirects: Map<string, string>;
  /** Paths that want these headers, in lower case; 401 without them. */
  readonly locked: Map<string, Readonly<Record<string, string>>>;
  readonly knobs: HttpStoreKnobs;
};

/** A web server with files, ranges and ETags (RFC 9110), and with the faults that web servers have. */
export async function startFakeHttpStore(): Promise<FakeHttpStore> {
  const files: FakeHttpStore['files'] = new Map();
  const redirects: FakeHttpStore['redirects'] = new Map();
  const locked: FakeHttpStore['locked'] = new Map();
  const knobs = noFaults();

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    await knobs.before?.(request);
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://store').pathname);
    if (knobs.failures > 0) {
      knobs.failures--;
      return response.writeHead(503).end();
    }
    const location = redirects.get(path);
    if (location !== undefined) return response.writeHead(302, { location }).end();
    const wanted = Object.entries(locked.get(path) ?? {});
    if (wanted.some(([name, value]) => request.headers[name] !== value)) return response.writeHead(401).end();
    const file = files.get(path);
    if (file === undefined) return response.writeHead(404).end();
    sendBytes(request, response, { ...file, etag: knobs.withoutEtags ? undefined : etagOf(file.body) }, knobs);
  };

  const server = await startServer(answer);
  return Object.assign(server, { files, redirects, locked, knobs });
}

export function noFaults(): HttpStoreKnobs {
  return { failures: 0, cutAfterBytes: 0, cuts: 0, chunked: false, withoutRanges: false, withoutEtags: false };
}

export function etagOf(body: Uint8Array): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}

type Stored = { readonly body: Uint8Array; readonly etag: string | undefined; readonly contentType?: string };
type Faults = Pick<HttpStoreKnobs, 'cutAfterBytes' | 'cuts' | 'chunked' | 'withoutRanges'>;

/** A GET of some bytes, as RFC 9110 has it; shared by the stores. Faults count down as they happen. */
export function sendBytes(request: IncomingMessage, response: ServerResponse, stored: Stored, faults: Faults): void {
  const { body, etag, contentType = 'application/octet-stream' } = stored;
  if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag) {
    response.writeHead(412).end();
    return;
  }
  const range = /^bytes=(\d+)-(\d*)$/.exec(faults.withoutRanges ? '' : (request.headers.range ?? ''));
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(range?.[2] ? Number(range[2]) + 1 : body.length, body.length);
  if (range && start >= body.length) {
    response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
    return;
  }
  const part = body.subarray(start, end);
  response.writeHead(range ? 206 : 200, {
    'content-type': contentType,
    ...(etag !== undefined && { etag }),
    ...(range && { 'content-range': `bytes ${start}-${end - 1}/${body.length}` }),
    ...(!faults.chunked && { 'content-length': part.length }),
  });
  if (faults.cuts > 0 && part.length > faults.cutAfterBytes) {
    faults.cuts--;
    response.write(part.subarray(0, faults.cutAfterBytes), () => response.destroy());
  } else response.end(part);
}
